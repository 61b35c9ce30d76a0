#include "reprise/core/dry_run.h"

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

namespace {

// What a thread's dry run sees in place of the real things.
struct DryState {
  std::uint64_t number;
  memory::Meters meters;  // starts as a copy
  RandomAddress random;   // to go back to
  // Gradients of leaves that were read or written in it. A read puts a stand-in here: dry, but as large and counted as
  // the real one, so that letting go of it counts too.
  std::unordered_map<const TensorImpl*, Ref<TensorImpl>> gradients;
};

REPRISE_HOT_THREAD_LOCAL DryState* state = nullptr;
std::atomic<std::uint64_t> last_number{0};

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
  if (state) throw UserError("a dry run is active on this thread already: dry runs do not nest");
  state = new DryState{++last_number, memory::real_meters(), random_state(), {}};
  memory::set_dry_meters(&state->meters);
}

DryRun::~DryRun() {
  // Taken out first: a handle that dies looks itself up here.
  std::exchange(state->gradients, {}).clear();
  set_random_state(state->random);
  memory::set_dry_meters(nullptr);
  delete state;
  state = nullptr;
}

bool is_dry_run() { return state != nullptr; }

std::uint64_t current_dry_run() { return state ? state->number : 0; }

Ref<TensorImpl> gradient_of(const TensorImpl& leaf) {
  if (!state) return leaf.grad;
  const auto found = state->gradients.find(&leaf);
  if (found != state->gradients.end()) return found->second;
  if (!leaf.grad || leaf.grad->storage->dry) return leaf.grad;
  return state->gradients.emplace(&leaf, stand_in(leaf.grad)).first->second;
}

void set_gradient(TensorImpl& leaf, Ref<TensorImpl> gradient) {
  if (!state) {
    if (gradient) note_gradient(leaf);
    leaf.grad = std::move(gradient);
    return;
  }
  gradient_of(leaf);  // its stand-in, so that what is replaced below leaves the count with its last holder
  state->gradients[&leaf] = std::move(gradient);
}

void forget_in_dry_run(const TensorImpl& leaf) noexcept {
  if (state && !state->gradients.empty()) state->gradients.extract(&leaf);
}

}  // namespace reprise
