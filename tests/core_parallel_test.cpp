// parallel_for covers its range once, whatever the thread count.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>
#include <vector>

#include "reprise/core/error.h"
#include "reprise/core/parallel.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;
using reprise::test::ThreadCount;

TEST_CASE("parallel_for covers every index once, in ranges no shorter than the grain", "[threads]") {
  for (int threads : {1, 2, 3, 8}) {
    const ThreadCount set(threads);
    for (std::int64_t count : {0, 1, 2, 7, 100, 1001})
      for (std::int64_t grain : {0, 1, 3, 64, 5000}) {
        INFO(threads << " threads, count " << count << ", grain " << grain);
        std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
        std::mutex lock;
        std::vector<std::int64_t> short_ranges;
        int ranges = 0;
        parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
          const std::lock_guard guard(lock);
          ++ranges;
          if (end - begin < grain && end != count) short_ranges.push_back(begin);
        });
        bool once = true;
        for (const auto& n : seen) once = once && n == 1;
        CHECK(once);
        CHECK(short_ranges.empty());
        CHECK(ranges <= threads);
      }
  }
}

TEST_CASE("parallel_for uses several threads, and a nested one runs inline", "[threads]") {
  const ThreadCount set(4);
  std::mutex lock;
  std::vector<std::thread::id> outer;
  int nested_elsewhere = 0;
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    const std::thread::id self = std::this_thread::get_id();
    int nested_ranges = 0;
    bool elsewhere = false;
    parallel_for(1000, 1, [&](std::int64_t, std::int64_t) {
      ++nested_ranges;
      elsewhere = elsewhere || std::this_thread::get_id() != self;
    });
    const std::lock_guard guard(lock);
    outer.push_back(self);
    nested_elsewhere += elsewhere || nested_ranges != 1;
  });
  std::sort(outer.begin(), outer.end());
  CHECK(outer.size() == 4);
  CHECK(std::unique(outer.begin(), outer.end()) - outer.begin() == 4);
  CHECK(nested_elsewhere == 0);
}

TEST_CASE("several threads may call parallel_for at once", "[threads]") {
  const ThreadCount set(3);
  std::vector<std::thread> callers;
  std::atomic<std::int64_t> total{0};
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round)
        parallel_for(1000, 10, [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4 * 20 * 1000);
}

TEST_CASE("a thread count that cannot be is refused, and the error says the range", "[threads]") {
  const int before = num_threads();
  for (const int count : {0, -3, 1025, 100000})
    CHECK_THROWS_WITH(set_num_threads(count), Catch::Contains("1 to 1024"));
  CHECK(num_threads() == before);
}

// Sanitizers need addresses without a limit.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("more threads than the process may start are refused", "[threads]") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = std::size_t{4} << 30;  // of addresses: each thread's stack takes megabytes
  REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
  const int threads = num_threads();
  CHECK_THROWS_WITH(set_num_threads(1024), Catch::Contains("this process can start"));
  CHECK(num_threads() == threads);
  setrlimit(RLIMIT_AS, &before);
}
#endif
