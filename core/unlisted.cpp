#include "reprise/core/unlisted.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_set>

#include "reprise/core/thread_local.h"

namespace reprise {
namespace {

// Unlisted leaves that got a gradient: few, and none in a program that is right.
struct Notes {
  std::mutex mutex;
  std::unordered_set<TensorImpl*> leaves;
};
Notes& notes() {
  static Notes& result = *new Notes;  // modules may be destroyed after every static
  return result;
}

std::atomic<std::uint64_t> last_walk{0};
REPRISE_HOT_THREAD_LOCAL std::uint64_t this_walk = 0;

}  // namespace

void mark_unlisted(const Tensor& parameter) { parameter.impl()->unlisted = true; }

void mark_listed(const Tensor& parameter) {
  TensorImpl& leaf = *parameter.impl();
  if (!leaf.unlisted) return;
  forget_unlisted(leaf);
  leaf.unlisted = false;
}

void begin_gradient_walk() { this_walk = ++last_walk; }

void note_gradient(TensorImpl& leaf) {
  leaf.gradient_walk = this_walk;
  if (!leaf.unlisted) return;
  Notes& list = notes();
  const std::lock_guard lock(list.mutex);
  list.leaves.insert(&leaf);
}

void forget_unlisted(TensorImpl& leaf) noexcept {
  Notes& list = notes();
  const std::lock_guard lock(list.mutex);
  list.leaves.erase(&leaf);
}

Tensor find_unlisted(std::span<const std::uint64_t> walks) {
  Notes& list = notes();
  const std::lock_guard lock(list.mutex);
  for (TensorImpl* leaf : list.leaves)
    if (leaf->grad && std::find(walks.begin(), walks.end(), leaf->gradient_walk) != walks.end())
      return Tensor(Ref<TensorImpl>(leaf));
  return {};
}

}  // namespace reprise
