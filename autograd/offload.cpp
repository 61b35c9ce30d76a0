#include "reprise/autograd/offload.h"

#include <fmt/format.h>

#include <atomic>
#include <new>
#include <utility>

#include "reprise/core/error.h"

namespace reprise {
namespace {

std::atomic<std::size_t> live_bytes{0};
std::atomic<std::size_t> peak_bytes{0};

}  // namespace

OffloadedCopy::OffloadedCopy(const void* data, std::size_t bytes, Device device)
    : bytes_(bytes), present_(true) {
  if (data) {
    data_.reset(new (std::nothrow) std::byte[bytes]);
    if (!data_)
      throw OutOfMemory(fmt::format("out of host memory: an offloaded copy asked for {} bytes", bytes));
    services(device).copy(data_.get(), data, bytes);
  }
  const std::size_t now = live_bytes += bytes;
  std::size_t peak = peak_bytes.load();
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

OffloadedCopy::OffloadedCopy(OffloadedCopy&& other) noexcept
    : data_(std::move(other.data_)),
      bytes_(std::exchange(other.bytes_, 0)),
      present_(std::exchange(other.present_, false)) {}

OffloadedCopy& OffloadedCopy::operator=(OffloadedCopy&& other) noexcept {
  if (this == &other) return *this;
  reset();
  data_ = std::move(other.data_);
  bytes_ = std::exchange(other.bytes_, 0);
  present_ = std::exchange(other.present_, false);
  return *this;
}

void OffloadedCopy::reset() noexcept {
  if (present_) live_bytes -= bytes_;
  data_.reset();
  bytes_ = 0;
  present_ = false;
}

void OffloadedCopy::copy_to(void* data, Device device) const {
  if (data_ && data) services(device).copy(data, data_.get(), bytes_);
}

std::size_t offloaded_bytes() { return live_bytes; }
std::size_t peak_offloaded_bytes() { return peak_bytes; }
void reset_peak_offloaded_bytes() { peak_bytes = live_bytes.load(); }

}  // namespace reprise
