#include "reprise/core/dry_run.h"

#include <fmt/format.h>

#include <atomic>
#include <unordered_map>
#include <utility>

#include "reprise/core/dry_overlay.h"
#include "reprise/core/error.h"
#include "reprise/core/meter.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"
#include "reprise/core/thread_local.h"
#include "reprise/core/unlisted.h"

namespace reprise {

// The view of the world that a thread's dry run has in place of the real one.
struct DryState {
  std::uint64_t number;
  memory::Meters meters;           // starts as a copy
  RandomAddress random;            // to go back to
  std::atomic<bool> ended{false};  // its DryRun ended on another thread
  // Leaves from before whose requires_grad was set in it: the flag and the tag to go back to.
  struct Flag {
    bool requires_grad;
    memory::Tag tag;
  };
  std::unordered_map<TensorImpl*, Flag> flags;
  // Gradients of leaves that were read or written in it. A read puts a stand-in here: dry, but as large and counted as
  // the real one, so that letting go of it counts too.
  std::unordered_map<const TensorImpl*, Ref<TensorImpl>> gradients;
  DryState() : number(++last_number), meters(memory::real_meters()), random(random_state()) {}

 private:
  static inline std::atomic<std::uint64_t> last_number{0};
};

namespace {

// A plain pointer, which every allocation reads; `owned` keeps what it points at.
REPRISE_HOT_THREAD_LOCAL DryState* state = nullptr;
thread_local std::shared_ptr<DryState> owned;

void leave() noexcept {
  // Taken out first: a handle that dies looks itself up here.
  std::exchange(state->gradients, {}).clear();
  set_random_state(state->random);
  const std::shared_ptr<DryState> last = std::move(owned);
  state = nullptr;
  for (const auto& [leaf, before] : last->flags) {
    leaf->requires_grad = before.requires_grad;
    retag(*leaf->storage, before.tag);
  }
}

// This thread's dry run, unless its DryRun has ended elsewhere.
DryState* active() noexcept {
  if (state && state->ended.load(std::memory_order_acquire)) leave();
  return state;
}

Ref<TensorImpl> stand_in(const Ref<TensorImpl>& real) {
  // If someone else holds the real buffer too, it outlives this gradient and stays in the count.
  const bool counted = real.unique() && real->storage.unique();
  Ref<TensorImpl> result = make_impl();
  result->info = real->info;
  result->offset = real->offset;
  result->requires_grad = real->requires_grad;
  result->leaf = real->leaf;
  result->value = real->value;
  result->serial = real->serial;
  result->storage =
      make_dry_storage(real->storage->bytes, real->storage->device, real->storage->tag, counted);
  return result;
}

}  // namespace

DryRun::DryRun() {
  if (active()) throw UserError("a dry run is active on this thread already: dry runs do not nest");
  owned = state_ = std::make_shared<DryState>();
  state = state_.get();
}

DryRun::~DryRun() {
  if (state == state_.get())
    leave();
  else
    state_->ended.store(true, std::memory_order_release);
}

bool is_dry_run() { return active() != nullptr; }

std::uint64_t current_dry_run() { return active() ? state->number : 0; }

memory::Meters* memory::dry_meters() { return active() ? &state->meters : nullptr; }

void refuse_ended_dry_run(std::string_view call, std::string_view what, const Tensor& tensor) {
  if (!tensor.defined()) return;
  const Storage& storage = *tensor.impl()->storage;
  if (storage.dry && storage.dry_run != current_dry_run())
    throw UserError(fmt::format("{}: {} {} was made in a dry run that has ended: it has no values", call,
                                what, to_string(tensor.info())));
}

Ref<TensorImpl> gradient_of(const TensorImpl& leaf) {
  if (!active()) return leaf.grad;
  const auto found = state->gradients.find(&leaf);
  if (found != state->gradients.end()) return found->second;
  if (!leaf.grad || leaf.grad->storage->dry) return leaf.grad;
  return state->gradients.emplace(&leaf, stand_in(leaf.grad)).first->second;
}

void set_gradient(TensorImpl& leaf, Ref<TensorImpl> gradient) {
  if (!active()) {
    if (gradient) note_gradient(leaf);
    leaf.grad = std::move(gradient);
    return;
  }
  gradient_of(leaf);  // its stand-in, so that what is replaced below leaves the count with its last holder
  state->gradients[&leaf] = std::move(gradient);
}

void note_requires_grad(TensorImpl& leaf) {
  if (active() && !leaf.storage->dry)
    state->flags.try_emplace(&leaf, DryState::Flag{leaf.requires_grad, leaf.storage->tag});
}

void forget_in_dry_run(TensorImpl& leaf) noexcept {
  if (!state) return;
  if (!state->gradients.empty()) state->gradients.extract(&leaf);
  if (!state->flags.empty()) state->flags.erase(&leaf);
}

}  // namespace reprise
