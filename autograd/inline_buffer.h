#pragma once
// A fixed-size array whose size is known when it is made: on the stack up to N elements. What an op's few operands
// need, without an allocation per op.
#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace reprise {

template <class T, std::size_t N>
class InlineBuffer {
 public:
  explicit InlineBuffer(std::size_t size) : size_(size) {
    if (size > N) heap_ = std::make_unique<T[]>(size);
  }
  T& operator[](std::size_t i) { return data()[i]; }
  std::span<T> span() { return {data(), size_}; }
  operator std::span<const T>() { return {data(), size_}; }

 private:
  T* data() { return heap_ ? heap_.get() : stack_.data(); }
  std::size_t size_;
  std::array<T, N> stack_;
  std::unique_ptr<T[]> heap_;
};

}  // namespace reprise
