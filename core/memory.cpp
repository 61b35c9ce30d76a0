#include "reprise/core/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/core/error.h"
#include "reprise/core/meter.h"
#include "reprise/core/thread_local.h"

namespace reprise::memory {

namespace {

REPRISE_HOT_THREAD_LOCAL Tag tag_in_force = Tag::activation;
REPRISE_HOT_THREAD_LOCAL std::int64_t allocations_to_failure = -1;
thread_local PressureHook pressure_hook = nullptr;
thread_local void* pressure_context = nullptr;

Meter& meter(Device device) { return (dry_meters() ? *dry_meters() : real_meters()).of(device); }

std::map<std::string, std::size_t> named(const TagBytes& bytes) {
  std::map<std::string, std::size_t> result;
  for (int i = 0; i < kTagCount; ++i)
    if (const std::size_t n = bytes[static_cast<std::size_t>(i)])
      result.emplace(to_string(static_cast<Tag>(i)), n);
  return result;
}

}  // namespace

std::string_view to_string(Tag tag) {
  switch (tag) {
    case Tag::parameter:
      return "parameter";
    case Tag::gradient:
      return "gradient";
    case Tag::optimizer:
      return "optimizer";
    case Tag::activation:
      return "activation";
    case Tag::replay:
      return "replay";
    case Tag::workspace:
      return "workspace";
    case Tag::data:
      return "data";
  }
  return "?";
}

std::string format_bytes(std::size_t bytes) {
  const double n = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  if (n < 1024 * 1023.95) return fmt::format("{:.1f} KiB", n / 0x1p10);
  if (n < 0x1p20 * 1023.95) return fmt::format("{:.1f} MiB", n / 0x1p20);
  return fmt::format("{:.1f} GiB", n / 0x1p30);
}

std::size_t live(Device device) { return meter(device).live(); }
std::size_t peak(Device device) { return meter(device).peak(); }
std::size_t reserved(Device device) { return services(device).reserved(); }
void reset_peak(Device device) { meter(device).reset_peak(); }
std::map<std::string, std::size_t> by_tag(Device device) { return named(meter(device).live_by_tag()); }
std::map<std::string, std::size_t> peak_by_tag(Device device) { return named(meter(device).peak_by_tag()); }
std::size_t peak_without_data(Device device) { return meter(device).peak_without_data(); }

void set_limit(Device device, std::size_t bytes) {
  if (dry_meters()) return;  // no limit applies to a dry run, and it leaves no trace
  services(device).set_limit(bytes);
  meter(device).set_limit(bytes);
}

std::size_t limit(Device device) { return meter(device).limit(); }

void start_timeline(Device device) { meter(device).start_timeline(); }
std::vector<TimelineEntry> stop_timeline(Device device) { return meter(device).stop_timeline(); }

TagScope::TagScope(Tag tag) : previous_(tag_in_force) { tag_in_force = tag; }
TagScope::~TagScope() { tag_in_force = previous_; }
Tag current_tag() { return tag_in_force; }

void fail_after(std::int64_t allocations) { allocations_to_failure = allocations; }

void count_allocation(std::size_t bytes, Device device) {
  if (allocations_to_failure < 0) return;
  if (allocations_to_failure-- == 0) throw_out_of_memory(bytes, device, "injected by fail_after");
}

void set_pressure_hook(PressureHook hook, void* context) {
  pressure_hook = hook;
  pressure_context = context;
}

bool relieve_pressure(Device device, std::size_t missing) {
  return pressure_hook && pressure_hook(pressure_context, device, missing);
}

void throw_out_of_memory(std::size_t bytes, Device device, const char* reason) {
  const Meter& counted = meter(device);
  std::vector<std::pair<std::size_t, Tag>> holders;
  const TagBytes tags = counted.live_by_tag();
  for (int i = 0; i < kTagCount; ++i)
    if (tags[static_cast<std::size_t>(i)])
      holders.emplace_back(tags[static_cast<std::size_t>(i)], static_cast<Tag>(i));
  std::sort(holders.begin(), holders.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (holders.size() > 3) holders.resize(3);
  std::string message =
      fmt::format("out of memory on {}: asked for {} ({} bytes), in use {}, limit {}",
                  reprise::to_string(device), format_bytes(bytes), bytes, format_bytes(counted.live()),
                  counted.limit() == SIZE_MAX ? std::string("none") : format_bytes(counted.limit()));
  for (std::size_t i = 0; i < holders.size(); ++i)
    message += fmt::format("{}{} {}", i ? ", " : "; largest holders: ", to_string(holders[i].second),
                           format_bytes(holders[i].first));
  if (*reason) message += fmt::format(" ({})", reason);
  throw OutOfMemory(message);
}

}  // namespace reprise::memory
