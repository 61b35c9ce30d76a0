#include "reprise/autograd/offload.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "reprise/core/error.h"

namespace reprise {
namespace {

std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};
thread_local std::string folder;  // empty: host memory

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

std::string write_file(const void* data, std::size_t bytes) {
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
    if (!folder.empty() && backend.step_capture() == StepCapture::capturing)
      throw CaptureError(
          "offloading to files in a step that is captured, where nothing runs yet that could be written; "
          "offload to "
          "host memory, without OffloadToFolder");
    HostBuffer buffer(bytes, backend);
    backend.copy_out(buffer.data(), data, bytes);
    if (folder.empty()) {
      host_ = buffer.take();
    } else {
      backend.synchronize();
      file_ = write_file(buffer.data(), bytes);
    }
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
  present_ = std::exchange(other.present_, false);
  return *this;
}

void OffloadedCopy::reset() noexcept {
  if (present_) live_bytes -= bytes_;
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

OffloadToFolder::OffloadToFolder(std::string path) : previous_(std::exchange(folder, std::move(path))) {
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return;
  const std::string wrong = std::exchange(folder, previous_);
  throw UserError(fmt::format("offloading to {}: {}", wrong, std::strerror(errno)));
}
OffloadToFolder::~OffloadToFolder() { folder = std::move(previous_); }

std::size_t offloaded_bytes() { return live_bytes; }
std::size_t peak_offloaded_bytes() { return peak_bytes; }
void reset_peak_offloaded_bytes() { peak_bytes = live_bytes.load(); }

}  // namespace reprise
