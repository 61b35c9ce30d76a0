#include "reprise/core/parallel.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "reprise/core/error.h"
#ifdef REPRISE_STD_THREADS
#include <system_error>
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace reprise {

namespace {

#ifdef REPRISE_STD_THREADS
int default_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }
#else
int default_threads() { return omp_get_max_threads(); }  // honours OMP_NUM_THREADS
#endif

std::atomic<int>& thread_count() {
  static std::atomic<int> count{default_threads()};
  return count;
}

thread_local bool inside = false;  // a body of parallel_for runs on this thread

}  // namespace

int num_threads() { return thread_count().load(std::memory_order_relaxed); }

void set_num_threads(int threads) {
  if (threads < 1) throw UserError(fmt::format("set_num_threads: {} threads; at least 1 is needed", threads));
  thread_count().store(threads, std::memory_order_relaxed);
}

namespace detail {

void parallel_for(std::int64_t count, std::int64_t grain, RangeFunction function, void* context) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t threads = inside ? 1 : std::min<std::int64_t>(num_threads(), (count - 1) / grain + 1);
  if (threads <= 1) {
    function(context, 0, count);
    return;
  }
  const std::int64_t length = std::max(grain, (count - 1) / threads + 1);
  const std::int64_t ranges = (count - 1) / length + 1;
  const auto run = [&](std::int64_t range) {
    inside = true;
    function(context, range * length, std::min(count, (range + 1) * length));
    inside = false;
  };
#ifdef REPRISE_STD_THREADS
  // For the thread sanitizer, which does not see libgomp's synchronization: new threads each time.
  std::vector<std::thread> team;
  std::int64_t started = 1;  // range 0 is ours
  try {
    team.reserve(static_cast<std::size_t>(ranges - 1));
    for (; started < ranges; ++started) team.emplace_back(run, started);
  } catch (const std::exception&) {  // no more threads or memory: do the rest here
  }
  run(0);
  for (; started < ranges; ++started) run(started);
  for (std::thread& thread : team) thread.join();
#else
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(ranges))
  for (std::int64_t range = 0; range < ranges; ++range) run(range);
#endif
}

}  // namespace detail

}  // namespace reprise
