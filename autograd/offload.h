#pragma once
// The copy of a dropped value's bytes outside its device: in host memory, or in a file. Counted by its own meter, not the
// device's.
//
// Copies to and from host memory run beside the device's work (DeviceServices::copy_out, copy_in) and are not waited for.
// The host writes and reads a file itself, and waits.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "reprise/core/device.h"
#include "reprise/core/thread_scopes.h"

namespace reprise {

// A move-only copy; released when it dies. In a dry run it has no bytes but counts.
class OffloadedCopy {
 public:
  OffloadedCopy() = default;
  // Of bytes on `device`, which nobody may write any more; throws OutOfMemory, or FileError: the disk is full.
  OffloadedCopy(const void* data, std::size_t bytes, Device device);
  OffloadedCopy(OffloadedCopy&& other) noexcept;
  OffloadedCopy& operator=(OffloadedCopy&& other) noexcept;
  ~OffloadedCopy() { reset(); }
  void reset() noexcept;
  explicit operator bool() const { return present_; }
  void copy_to(void* data) const;  // on the same device; throws FileError: the file is gone, or not whole

 private:
  Device device_;
  void* host_ = nullptr;  // from the device's services
  std::string file_;
  std::size_t bytes_ = 0;
  std::uint64_t dry_run_ = 0;  // the dry run that counts it; 0: none
  bool present_ = false;
};

// While it lives, this thread's copies go to files in the folder, which must be there; each is removed with its copy. A copy
// that could not be written or read is a FileError that names its file: of the record, which changes nothing, or of the
// backward, which may be called again.
class [[nodiscard]] OffloadToFolder {
 public:
  explicit OffloadToFolder(std::string path);
  ~OffloadToFolder();
  OffloadToFolder(const OffloadToFolder&) = delete;
  OffloadToFolder& operator=(const OffloadToFolder&) = delete;

 private:
  std::shared_ptr<ScopeEntry<std::string>> entry_;
};

// Bytes in offloaded copies of all tapes of this process, now and at most. In a dry run the calling thread sees counts of its
// own, which start from the real bytes and are forgotten at the end.
std::size_t offloaded_bytes();
std::size_t peak_offloaded_bytes();
void reset_peak_offloaded_bytes();

}  // namespace reprise
