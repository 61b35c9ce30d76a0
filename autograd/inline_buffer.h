#pragma once
// A fixed-size array whose size is known when it is made: on the stack up to N elements. What an op's few operands
// need, without an allocation per op. Elements are default-initialized.
#include <cstddef>
#include <memory>
#include <span>

namespace reprise {

template <class T, std::size_t N>
class InlineBuffer {
 public:
  explicit InlineBuffer(std::size_t size) : size_(size) {
    data_ = size <= N ? reinterpret_cast<T*>(stack_) : std::allocator<T>().allocate(size);
    std::uninitialized_default_construct_n(data_, size);
  }
  ~InlineBuffer() {
    std::destroy_n(data_, size_);
    if (size_ > N) std::allocator<T>().deallocate(data_, size_);
  }
  InlineBuffer(const InlineBuffer&) = delete;
  InlineBuffer& operator=(const InlineBuffer&) = delete;

  T& operator[](std::size_t i) { return data_[i]; }
  std::span<T> span() { return {data_, size_}; }

 private:
  T* data_;
  std::size_t size_;
  alignas(T) std::byte stack_[N * sizeof(T)];
};

}  // namespace reprise
