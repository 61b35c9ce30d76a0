#pragma once
// The copy of a dropped value's bytes outside its device: in host memory. Counted by its own meter, not the device's.
#include <cstddef>
#include <memory>

#include "reprise/core/device.h"

namespace reprise {

// A move-only copy; released when it dies. In a dry run it has no bytes but counts.
class OffloadedCopy {
 public:
  OffloadedCopy() = default;
  // Of bytes on `device`; throws OutOfMemory.
  OffloadedCopy(const void* data, std::size_t bytes, Device device);
  OffloadedCopy(OffloadedCopy&& other) noexcept;
  OffloadedCopy& operator=(OffloadedCopy&& other) noexcept;
  ~OffloadedCopy() { reset(); }
  void reset() noexcept;
  explicit operator bool() const { return present_; }
  void copy_to(void* data, Device device) const;

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t bytes_ = 0;
  bool present_ = false;
};

// Bytes in offloaded copies of all tapes of this process, now and at most.
std::size_t offloaded_bytes();
std::size_t peak_offloaded_bytes();
void reset_peak_offloaded_bytes();

}  // namespace reprise
