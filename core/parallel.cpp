#include "reprise/core/parallel.h"

#include <fmt/format.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "reprise/core/error.h"
#ifndef REPRISE_STD_THREADS
#include <omp.h>
#endif

namespace reprise {

namespace {

constexpr int kMaxThreads = 1024;

#ifdef REPRISE_STD_THREADS
int default_threads() { return static_cast<int>(std::thread::hardware_concurrency()); }
// In a parallel region that is opened now.
int threads_at_most() { return kMaxThreads; }
#else
int default_threads() { return omp_get_max_threads(); }  // honours OMP_NUM_THREADS
int threads_at_most() {
  // oneDNN's loops run on one thread in any active region, even if OpenMP would nest regions.
  if (omp_in_parallel() || omp_get_active_level() >= omp_get_max_active_levels()) return 1;
  return omp_get_thread_limit();
}
#endif

std::atomic<int>& thread_count() {
  static std::atomic<int> count{std::clamp(default_threads(), 1, kMaxThreads)};
  return count;
}

thread_local bool inside = false;  // a body of parallel_for runs on this thread

// OpenMP's threads do not survive fork(), but its loops in the child still wait for them.
std::atomic<bool> used{false}, lost{false};
[[maybe_unused]] const int notice_forks = pthread_atfork(nullptr, nullptr, [] { lost.store(used.load()); });

// Starts threads until `wanted` live at once; returns how many did.
int threads_that_start(int wanted) {
  std::vector<std::thread> threads;
  std::latch end(1);
  try {
    threads.reserve(static_cast<std::size_t>(wanted));
    while (std::ssize(threads) < wanted) threads.emplace_back([&] { end.wait(); });
  } catch (const std::exception&) {  // no more threads or memory
  }
  end.count_down();
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size());
}

// OpenMP ends the process if it cannot start a thread, so find out before. Once for each greatest number.
void require_startable(int threads) {
  static std::mutex mutex;
  static int known = static_cast<int>(std::thread::hardware_concurrency());
  const std::lock_guard lock(mutex);
  if (threads <= known) return;
  const int started = 1 + threads_that_start(threads - 1);
  if (started < threads)
    throw UserError(fmt::format("set_num_threads: {} threads, but this process can start {}: give 1 to {}",
                                threads, started, std::max(1, started / 2)));
  known = threads;
}

}  // namespace

int num_threads() { return thread_count().load(std::memory_order_relaxed); }

void set_num_threads(int threads) {
  if (threads < 1 || threads > kMaxThreads)
    throw UserError(fmt::format("set_num_threads: {} threads: give 1 to {}", threads, kMaxThreads));
  require_startable(threads);
  thread_count().store(threads, std::memory_order_relaxed);
}

int available_threads() {
  if (inside || lost.load(std::memory_order_relaxed)) return 1;
  const int threads = std::min(num_threads(), threads_at_most());
  if (threads > 1 && !used.load(std::memory_order_relaxed)) used.store(true, std::memory_order_relaxed);
  return threads;
}

namespace detail {

void parallel_for(std::int64_t count, std::int64_t grain, RangeFunction function, void* context) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t threads = std::min<std::int64_t>(available_threads(), (count - 1) / grain + 1);
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
