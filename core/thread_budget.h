#pragma once
// A limit on the bytes that one thread holds on one device, beside the limit of the whole process. Bytes of other
// threads and bytes of the tag data do not count. Internal; online eviction (checkpoint/online_eviction.h) uses it.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "reprise/core/device.h"
#include "reprise/core/ref.h"
#include "reprise/core/storage.h"
#include "reprise/core/thread_local.h"

namespace reprise::memory {

class ThreadBudget {
 public:
  // SIZE_MAX as limit: none. Bytes that live now count from the start, except those of the tag data and those that other
  // threads made under budgets of their own.
  ThreadBudget(Device device, std::size_t limit);
  ~ThreadBudget();
  ThreadBudget(const ThreadBudget&) = delete;
  ThreadBudget& operator=(const ThreadBudget&) = delete;

  Device device() const { return device_; }
  std::size_t limit() const { return limit_; }
  std::size_t used() const { return before_ + made_; }
  // How many bytes too many an allocation of `bytes` would be; 0: the bytes fit.
  std::size_t missing(std::size_t bytes) const;
  // From here on nothing is refused. May be called on any thread.
  void end() noexcept { ended_ = true; }

  // Bytes made under this budget come and go; bytes from before it go.
  void add(std::size_t bytes) noexcept { made_ += bytes; }
  void subtract(std::size_t bytes) noexcept { made_ -= bytes; }
  void subtract_from_before(std::size_t bytes) noexcept;

  std::atomic<std::int32_t> references{0};
  static void destroy(ThreadBudget* budget) noexcept { delete budget; }

 private:
  Device device_;
  std::size_t limit_;
  std::atomic<std::size_t> before_{0}, made_{0};
  std::atomic<bool> ended_{false};
};

// The budget in force on this thread; null: none. Every allocation looks at it.
REPRISE_HOT_THREAD_LOCAL extern constinit ThreadBudget* this_threads_budget;
inline ThreadBudget* thread_budget() { return this_threads_budget; }
// Null removes the budget.
void set_thread_budget(Ref<ThreadBudget> budget);

// Between core's own files: a real storage was made, dies, or changes its tag from the one that it still has.
void count_under_budget(Storage& storage) noexcept;
void uncount_under_budget(Storage& storage) noexcept;
void retag_for_thread(const Storage& storage, Tag to) noexcept;
inline void count_for_thread(Storage& storage) noexcept {
  if (thread_budget()) count_under_budget(storage);
}
inline void uncount_for_thread(Storage& storage) noexcept {
  if (storage.budget || thread_budget()) uncount_under_budget(storage);
}

}  // namespace reprise::memory
