#include "reprise/core/unlisted.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

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

struct UnmetCall {
  std::uint64_t number;
  const char* layer;
  std::shared_ptr<const void> tape;  // that recorded it last; kept, so that no other tape gets its address
  std::uint64_t walk;                // the last one over that tape; 0: none
};
// A program may make modules in each step, and never an optimizer.
constexpr std::size_t kMostUnmetCalls = 64;
thread_local std::vector<UnmetCall> unmet_calls;
std::atomic<std::uint64_t> last_unmet_call{0};

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

void begin_gradient_walk(const void* tape) {
  this_walk = ++last_walk;
  for (UnmetCall& call : unmet_calls)
    if (call.tape.get() == tape) call.walk = this_walk;
}

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

std::uint64_t note_unmet_call(const char* layer, std::shared_ptr<const void> tape, std::uint64_t number) {
  const auto known = std::find_if(unmet_calls.begin(), unmet_calls.end(),
                                  [&](const UnmetCall& call) { return call.number == number; });
  if (known != unmet_calls.end()) {
    known->tape = std::move(tape);
    return number;
  }
  if (unmet_calls.size() == kMostUnmetCalls) unmet_calls.erase(unmet_calls.begin());
  unmet_calls.push_back({++last_unmet_call, layer, std::move(tape), 0});
  return unmet_calls.back().number;
}

void forget_unmet_call(std::uint64_t number) {
  std::erase_if(unmet_calls, [&](const UnmetCall& call) { return call.number == number; });
}

const char* take_unmet_call(std::span<const std::uint64_t> walks) {
  const auto found = std::find_if(unmet_calls.begin(), unmet_calls.end(), [&](const UnmetCall& call) {
    return call.walk != 0 && std::find(walks.begin(), walks.end(), call.walk) != walks.end();
  });
  if (found == unmet_calls.end()) return nullptr;
  const char* layer = found->layer;
  unmet_calls.erase(found);
  return layer;
}

}  // namespace reprise
