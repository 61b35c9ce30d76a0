#pragma once
// What the functions of core/memory.h read: a count per device. Internal to core.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reprise/core/device.h"
#include "reprise/core/memory.h"
#include "reprise/core/spin_lock.h"

namespace reprise::memory {

using TagBytes = std::array<std::size_t, kTagCount>;

// Thread-safe. Nothing here throws but what a timeline's growth may.
class Meter {
 public:
  Meter() = default;
  Meter(const Meter& other);  // the figures, without limit and timeline

  // False, and nothing changed, where live bytes would pass the limit.
  bool add(std::size_t bytes, Tag tag);
  void subtract(std::size_t bytes, Tag tag) noexcept;
  void move(std::size_t bytes, Tag from, Tag to) noexcept;
  // How many bytes too many an allocation of `bytes` would be; 0: it fits.
  std::size_t missing(std::size_t bytes) const;

  std::size_t live() const;
  std::size_t peak() const;
  std::size_t peak_without_data() const;
  TagBytes live_by_tag() const;
  TagBytes peak_by_tag() const;
  void reset_peak();
  std::size_t limit() const;
  void set_limit(std::size_t bytes);
  void start_timeline();
  std::vector<TimelineEntry> stop_timeline();

 private:
  void note_peaks();
  void note_time(std::int64_t change, Tag tag) noexcept;

  mutable SpinLock lock_;
  bool recording_ = false;
  std::size_t live_ = 0, peak_ = 0, peak_without_data_ = 0;
  std::atomic<std::size_t> limit_ = SIZE_MAX;  // read without the lock
  TagBytes tags_ = {}, peak_tags_ = {};
  std::vector<TimelineEntry> timeline_;
  std::chrono::steady_clock::time_point timeline_start_;
};

// One meter a device.
struct Meters {
  static constexpr int kMaxCudaDevices = 16;
  Meter cpu;
  std::array<Meter, kMaxCudaDevices> cuda;
  Meter& of(Device device);  // UserError for a device that cannot be
};

Meters& real_meters();

// The meters of this thread's dry run (core/dry_run.cpp); null outside one.
Meters* dry_meters();

// For allocate: counts down fail_after; throws the injected OutOfMemory.
void count_allocation(std::size_t bytes, Device device);

// Asks the thread's pressure hook; false without one.
bool relieve_pressure(Device device, std::size_t missing);

[[noreturn]] void throw_out_of_memory(std::size_t bytes, Device device, const char* reason);

}  // namespace reprise::memory
