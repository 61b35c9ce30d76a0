#include "reprise/core/thread_budget.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "reprise/core/meter.h"
#include "reprise/core/thread_local.h"

namespace reprise::memory {
namespace {

// This thread's reference, which keeps the budget.
thread_local Ref<ThreadBudget> owned;

// All budgets that there are.
struct Budgets {
  std::mutex mutex;
  std::vector<const ThreadBudget*> list;
};
Budgets& budgets() {
  static Budgets& result = *new Budgets;  // static tensors may outlive it otherwise
  return result;
}

}  // namespace

REPRISE_HOT_THREAD_LOCAL constinit ThreadBudget* this_threads_budget = nullptr;

ThreadBudget::ThreadBudget(Device device, std::size_t limit) : device_(device), limit_(limit) {
  const Meter& meter = real_meters().of(device);
  std::size_t others = meter.live_by_tag()[static_cast<std::size_t>(Tag::data)];
  Budgets& all = budgets();
  const std::lock_guard lock(all.mutex);
  for (const ThreadBudget* budget : all.list)
    if (budget->device() == device) others += budget->made_;
  before_ = meter.live() - std::min(others, meter.live());
  all.list.push_back(this);
}

ThreadBudget::~ThreadBudget() {
  Budgets& all = budgets();
  const std::lock_guard lock(all.mutex);
  std::erase(all.list, this);
}

std::size_t ThreadBudget::missing(std::size_t bytes) const {
  if (limit_ == SIZE_MAX || ended_) return 0;
  const std::size_t now = used(), room = limit_ > now ? limit_ - now : 0;
  return bytes > room ? bytes - room : 0;
}

void ThreadBudget::subtract_from_before(std::size_t bytes) noexcept {
  std::size_t now = before_;
  while (!before_.compare_exchange_weak(now, now > bytes ? now - bytes : 0)) {
  }
}

void set_thread_budget(Ref<ThreadBudget> budget) {
  this_threads_budget = budget.get();
  owned = std::move(budget);
}

void count_under_budget(Storage& storage) noexcept {
  if (!this_threads_budget || storage.bytes == 0 || this_threads_budget->device() != storage.device) return;
  storage.budget = this_threads_budget;
  this_threads_budget->references.fetch_add(1, std::memory_order_relaxed);
  if (storage.tag != Tag::data) this_threads_budget->add(storage.bytes);
}

void uncount_under_budget(Storage& storage) noexcept {
  if (ThreadBudget* const mine = std::exchange(storage.budget, nullptr)) {
    if (storage.tag != Tag::data) mine->subtract(storage.bytes);
    if (mine->references.fetch_sub(1, std::memory_order_acq_rel) == 1) ThreadBudget::destroy(mine);
  } else if (this_threads_budget && storage.tag != Tag::data &&
             this_threads_budget->device() == storage.device) {
    this_threads_budget->subtract_from_before(storage.bytes);  // a buffer from before the budget
  }
}

void retag_for_thread(const Storage& storage, Tag to) noexcept {
  const std::size_t before = storage.tag == Tag::data ? 0 : storage.bytes,
                    after = to == Tag::data ? 0 : storage.bytes;
  if (before == after) return;
  ThreadBudget* const budget = storage.budget ? storage.budget : this_threads_budget;
  if (!budget || budget->device() != storage.device) return;
  if (after > 0) budget->add(after);
  if (before == 0) return;
  if (storage.budget)
    budget->subtract(before);
  else
    budget->subtract_from_before(before);
}

}  // namespace reprise::memory
