#pragma once
// One meter: every allocation has bytes, a tag and a time. Figures are exact, in requested bytes. In a dry run
// (core/dry_run.h) the calling thread reads and writes the dry run's own meter, which starts as a copy.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/core/device.h"

namespace reprise::memory {

enum class Tag : std::uint8_t { parameter, gradient, optimizer, activation, replay, workspace, data };
inline constexpr int kTagCount = 7;
std::string_view to_string(Tag tag);
std::string format_bytes(std::size_t bytes);  // "1.5 MiB"

std::size_t live(Device device);
std::size_t peak(Device device);
std::size_t reserved(Device device);  // live and cached: what the allocator has from the system
void reset_peak(Device device);       // the peak becomes what is live now
std::map<std::string, std::size_t> by_tag(Device device);       // live bytes, tags that hold some
std::map<std::string, std::size_t> peak_by_tag(Device device);  // what was live when the peak was reached
// The peak of everything but the tag data, which a loader's prefetch thread changes whenever it likes.
std::size_t peak_without_data(Device device);
// From here on an allocation that would take live bytes above the limit throws OutOfMemory. Cached bytes are given back
// rather than let reserved bytes pass it; where rounding blocks up is all that does, they may by up to 16 MiB.
void set_limit(Device device, std::size_t bytes);
std::size_t limit(Device device);  // SIZE_MAX: none

// The meter over time, for plots: one entry per allocation and release while recording.
struct TimelineEntry {
  double seconds;  // since start_timeline
  std::int64_t change;
  std::size_t live;
  Tag tag;
};
void start_timeline(Device device);
std::vector<TimelineEntry> stop_timeline(Device device);

// The tag of allocations made by this thread while it lives; the innermost counts. Without one: activation.
class [[nodiscard]] TagScope {
 public:
  explicit TagScope(Tag tag);
  ~TagScope();
  TagScope(const TagScope&) = delete;
  TagScope& operator=(const TagScope&) = delete;

 private:
  Tag previous_;
};
Tag current_tag();

// For tests: the n-th allocation from now (0: the next) on this thread throws OutOfMemory, once. -1: never.
void fail_after(std::int64_t allocations);

// Asked, once per attempt, before OutOfMemory is thrown for a limit: free something and return true to try again.
// One per thread; used by online eviction. nullptr removes it.
using PressureHook = bool (*)(void* context, Device device, std::size_t missing);
void set_pressure_hook(PressureHook hook, void* context);

}  // namespace reprise::memory
