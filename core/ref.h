#pragma once
// An intrusive, thread-safe reference. T has `std::atomic<std::int32_t> references` and `static void destroy(T*)`.
#include <atomic>
#include <cstdint>
#include <utility>

namespace reprise {

template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* pointer) noexcept : pointer_(pointer) {
    if (pointer_) pointer_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(const Ref& other) noexcept : Ref(other.pointer_) {}
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() { reset(); }

  void reset() noexcept {
    T* pointer = std::exchange(pointer_, nullptr);
    if (pointer && pointer->references.fetch_sub(1, std::memory_order_acq_rel) == 1) T::destroy(pointer);
  }
  T* get() const { return pointer_; }
  T* operator->() const { return pointer_; }
  T& operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }
  bool unique() const { return pointer_ && pointer_->references.load(std::memory_order_acquire) == 1; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.pointer_ == b.pointer_; }

 private:
  T* pointer_ = nullptr;
};

}  // namespace reprise
