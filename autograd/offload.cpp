#include "reprise/autograd/offload.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"

namespace reprise {
namespace {

std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};
// The counts that a thread's dry run sees, which leave with it.
struct DryCounts {
  std::uint64_t run = 0;
  std::size_t live = 0, peak = 0;
};
thread_local DryCounts dry_counts;

// Null outside a dry run. Starts from the real count.
DryCounts* counts_of_dry_run() {
  const std::uint64_t run = current_dry_run();
  if (run == 0) return nullptr;
  if (dry_counts.run != run) dry_counts = {run, live_bytes, live_bytes};
  return &dry_counts;
}

thread_local ThreadScopes<std::string> folders;

// The folder for this thread's copies; null: host memory.
const std::string* current_folder() { return folders.current(); }

// A file of this process, open; closed at the end.
class File {
 public:
  File(const std::string& path, int flags) : path_(path), number_(::open(path.c_str(), flags, 0600)) {
    if (number_ < 0) fail("cannot be opened");
  }
  ~File() { ::close(number_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void write(const void* data, std::size_t bytes) {
    for (const auto* next = static_cast<const std::byte*>(data); bytes > 0;) {
      const ssize_t written = ::write(number_, next, bytes);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail("cannot be written");
      next += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }
  void read(void* data, std::size_t bytes) {
    for (auto* next = static_cast<std::byte*>(data); bytes > 0;) {
      const ssize_t got = ::read(number_, next, bytes);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot be read");
      if (got == 0)
        throw FileError(fmt::format("{}: {} bytes of an offloaded value are missing", path_, bytes));
      next += got;
      bytes -= static_cast<std::size_t>(got);
    }
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw FileError(fmt::format("{}: {}, an offloaded value: {}", path_, what, std::strerror(errno)));
  }
  const std::string& path_;
  int number_;
};

std::string write_file(const std::string& folder, const void* data, std::size_t bytes) {
  static std::atomic<std::uint64_t> next{0};
  std::string path = fmt::format("{}/reprise-{}-{}.offloaded", folder, ::getpid(), next++);
  File file(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  try {
    file.write(data, bytes);
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  return path;
}

// Host memory of a device's services.
class HostBuffer {
 public:
  HostBuffer(std::size_t bytes, DeviceServices& device)
      : device_(device), data_(device.allocate_host(bytes)), bytes_(bytes) {}
  ~HostBuffer() {
    if (data_) device_.release_host(data_, bytes_);
  }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  void* data() const { return data_; }
  void* take() { return std::exchange(data_, nullptr); }

 private:
  DeviceServices& device_;
  void* data_;
  std::size_t bytes_;
};

}  // namespace

OffloadedCopy::OffloadedCopy(const void* data, std::size_t bytes, Device device)
    : device_(device), bytes_(bytes), present_(true) {
  if (data) {
    DeviceServices& backend = services(device);
    const std::string* const folder = current_folder();
    if (folder && backend.step_capture() == StepCapture::capturing)
      throw CaptureError(
          "offloading to files in a step that is captured, where nothing runs yet that could be written; "
          "offload to "
          "host memory, without OffloadToFolder");
    HostBuffer buffer(bytes, backend);
    backend.copy_out(buffer.data(), data, bytes);
    if (!folder) {
      host_ = buffer.take();
    } else {
      backend.synchronize();
      file_ = write_file(*folder, buffer.data(), bytes);
    }
  }
  if (DryCounts* dry = counts_of_dry_run()) {
    dry_run_ = dry->run;
    dry->live += bytes;
    dry->peak = std::max(dry->peak, dry->live);
    return;
  }
  const std::size_t now = live_bytes += bytes;
  std::size_t peak = peak_bytes.load();
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

OffloadedCopy::OffloadedCopy(OffloadedCopy&& other) noexcept { *this = std::move(other); }

OffloadedCopy& OffloadedCopy::operator=(OffloadedCopy&& other) noexcept {
  if (this == &other) return *this;
  reset();
  device_ = other.device_;
  host_ = std::exchange(other.host_, nullptr);
  file_ = std::exchange(other.file_, {});
  bytes_ = std::exchange(other.bytes_, 0);
  dry_run_ = other.dry_run_;
  present_ = std::exchange(other.present_, false);
  return *this;
}

void OffloadedCopy::reset() noexcept {
  if (present_) {
    DryCounts* const dry = counts_of_dry_run();
    if (dry && (dry_run_ == 0 || dry_run_ == dry->run)) dry->live -= bytes_;
    if (dry_run_ == 0) live_bytes -= bytes_;
  }
  if (!file_.empty()) ::unlink(file_.c_str());
  if (host_) services(device_).release_host(std::exchange(host_, nullptr), bytes_);
  file_.clear();
  bytes_ = 0;
  present_ = false;
}

void OffloadedCopy::copy_to(void* data) const {
  if (!data) return;
  DeviceServices& backend = services(device_);
  if (file_.empty()) return backend.copy_in(data, host_, bytes_);
  const HostBuffer buffer(bytes_, backend);
  backend.synchronize();  // an earlier copy may still run in this memory
  File(file_, O_RDONLY | O_CLOEXEC).read(buffer.data(), bytes_);
  backend.copy_in(data, buffer.data(), bytes_);
}

OffloadToFolder::OffloadToFolder(std::string path) {
  if (::access(path.c_str(), W_OK | X_OK) != 0)
    throw UserError(fmt::format("offloading to {}: {}", path, std::strerror(errno)));
  entry_ = folders.begin(std::move(path));
}
OffloadToFolder::~OffloadToFolder() { entry_->ended = true; }

std::size_t offloaded_bytes() {
  const DryCounts* dry = counts_of_dry_run();
  return dry ? dry->live : live_bytes.load();
}
std::size_t peak_offloaded_bytes() {
  const DryCounts* dry = counts_of_dry_run();
  return dry ? dry->peak : peak_bytes.load();
}
void reset_peak_offloaded_bytes() {
  if (DryCounts* dry = counts_of_dry_run())
    dry->peak = dry->live;
  else
    peak_bytes = live_bytes.load();
}

}  // namespace reprise
