#include "reprise/core/meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "reprise/core/error.h"

namespace reprise::memory {

namespace {

std::size_t index(Tag tag) { return static_cast<std::size_t>(tag); }

}  // namespace

Meter::Meter(const Meter& other) {
  const std::lock_guard guard(other.lock_);
  live_ = other.live_;
  peak_ = other.peak_;
  peak_without_data_ = other.peak_without_data_;
  tags_ = other.tags_;
  peak_tags_ = other.peak_tags_;
}

void Meter::note_peaks() {
  if (live_ > peak_) {
    peak_ = live_;
    peak_tags_ = tags_;
  }
  peak_without_data_ = std::max(peak_without_data_, live_ - tags_[index(Tag::data)]);
}

void Meter::note_time(std::int64_t change, Tag tag) noexcept {
  if (!recording_) return;
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - timeline_start_;
  try {
    timeline_.push_back({time.count(), change, live_, tag});
  } catch (const std::bad_alloc&) {
    recording_ = false;  // a shorter plot; the figures go on
  }
}

bool Meter::add(std::size_t bytes, Tag tag) {
  const std::lock_guard guard(lock_);
  const std::size_t limit = this->limit();
  if (bytes > limit || live_ > limit - bytes) return false;
  live_ += bytes;
  tags_[index(tag)] += bytes;
  note_peaks();
  note_time(static_cast<std::int64_t>(bytes), tag);
  return true;
}

void Meter::subtract(std::size_t bytes, Tag tag) noexcept {
  const std::lock_guard guard(lock_);
  // A dry run's meter may hear of the end of a buffer that another thread made meanwhile and that it never counted.
  bytes = std::min(bytes, tags_[index(tag)]);
  live_ -= bytes;
  tags_[index(tag)] -= bytes;
  note_time(-static_cast<std::int64_t>(bytes), tag);
}

void Meter::move(std::size_t bytes, Tag from, Tag to) noexcept {
  const std::lock_guard guard(lock_);
  bytes = std::min(bytes, tags_[index(from)]);
  tags_[index(from)] -= bytes;
  tags_[index(to)] += bytes;
  note_peaks();  // bytes that leave the tag data count from now on
}

std::size_t Meter::missing(std::size_t bytes) const {
  const std::size_t limit = this->limit();
  if (limit == SIZE_MAX) return 0;
  const std::lock_guard guard(lock_);
  const std::size_t room = limit > live_ ? limit - live_ : 0;
  return bytes > room ? bytes - room : 0;
}

std::size_t Meter::live() const {
  const std::lock_guard guard(lock_);
  return live_;
}

std::size_t Meter::peak() const {
  const std::lock_guard guard(lock_);
  return peak_;
}

std::size_t Meter::peak_without_data() const {
  const std::lock_guard guard(lock_);
  return peak_without_data_;
}

TagBytes Meter::live_by_tag() const {
  const std::lock_guard guard(lock_);
  return tags_;
}

TagBytes Meter::peak_by_tag() const {
  const std::lock_guard guard(lock_);
  return peak_tags_;
}

void Meter::reset_peak() {
  const std::lock_guard guard(lock_);
  peak_ = live_;
  peak_tags_ = tags_;
  peak_without_data_ = live_ - tags_[index(Tag::data)];
}

std::size_t Meter::limit() const { return limit_.load(std::memory_order_relaxed); }

void Meter::set_limit(std::size_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }

void Meter::start_timeline() {
  const std::lock_guard guard(lock_);
  timeline_.clear();
  timeline_start_ = std::chrono::steady_clock::now();
  recording_ = true;
}

std::vector<TimelineEntry> Meter::stop_timeline() {
  const std::lock_guard guard(lock_);
  recording_ = false;
  return std::exchange(timeline_, {});
}

Meter& Meters::of(Device device) {
  if (device.kind == Device::CPU && device.index == 0) return cpu;
  if (device.kind == Device::CUDA && device.index >= 0 && device.index < kMaxCudaDevices)
    return cuda[static_cast<std::size_t>(device.index)];
  throw UserError(fmt::format("there is no device of kind {} with index {}",
                              device.kind == Device::CPU ? "cpu" : "cuda", device.index));
}

Meters& real_meters() {
  static Meters* meters = new Meters;  // never destroyed: static tensors may outlive it otherwise
  return *meters;
}

}  // namespace reprise::memory
