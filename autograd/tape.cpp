// The tape's values and slots: who is on the tape, where its bytes are, who keeps them.
#include "reprise/autograd/tape.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/thread_local.h"

namespace reprise {
namespace {

// The arrays of tapes that are gone, for the next tape of this thread: a step then grows no vectors.
struct Recycled {
  std::vector<Node> nodes;
  std::vector<Index> places;
  std::vector<Value> values;
  std::vector<Slot> slots;
};

thread_local Recycled recycled;

// Serials never repeat: a thread takes them in blocks.
std::uint64_t next_serial() {
  constexpr std::uint64_t kBlock = std::uint64_t{1} << 20;
  static std::atomic<std::uint64_t> blocks{0};
  REPRISE_HOT_THREAD_LOCAL std::uint64_t serial = 0;
  if (serial % kBlock == 0) serial = blocks.fetch_add(1, std::memory_order_relaxed) * kBlock;
  return ++serial;
}

}  // namespace

TapeState::TapeState(TapeOptions options)
    : plan(options.plan ? std::make_shared<const Plan>(*std::move(options.plan)) : nullptr),
      dry_run(current_dry_run()),
      owner(&this_thread()) {
  if (plan) plan->validate();
  nodes.swap(recycled.nodes);
  places.swap(recycled.places);
  values.swap(recycled.values);
  slots.swap(recycled.slots);
  regions.emplace_back();
}

TapeState::~TapeState() {
  end();
  for (Slot& s : slots)
    if (s.current && s.current->table == this) s.current->table = nullptr;
  nodes.clear();
  places.clear();
  values.clear();
  slots.clear();
  nodes.swap(recycled.nodes);
  places.swap(recycled.places);
  values.swap(recycled.values);
  slots.swap(recycled.slots);
}

std::uint32_t TapeState::next_epoch() {
  if (++epoch != 0) return epoch;
  for (Slot& s : slots) s.mark = s.kept_mark = 0;
  for (Node& n : nodes) n.mark = 0;
  return epoch = 1;
}

bool TapeState::is_view(const Node& n) const {
  return n.outputs == 1 && slot(value(outputs(n)[0]).slot).maker != static_cast<Index>(&n - nodes.data());
}

Index TapeState::find_value(const TensorImpl& impl) const {
  if (impl.value < 0 || static_cast<std::size_t>(impl.value) >= values.size()) return -1;
  const Value& known = value(impl.value);
  if (known.serial != impl.serial) return -1;
  if (known.maker < 0 && slot(known.slot).version != impl.storage->version) return -1;  // written since
  if (known.tracked != impl.requires_grad) return -1;                                   // made a leaf since
  return impl.value;
}

Index TapeState::find_leaf(const TensorImpl& impl) const {
  const auto found = leaf_values.find(&impl);
  return found == leaf_values.end() ? -1 : found->second;
}

std::size_t TapeState::gradient_at_start(const TensorImpl& impl) const {
  if (!plan || walking || !impl.requires_grad || !impl.leaf || find_value(impl) >= 0 || find_leaf(impl) >= 0)
    return 0;
  const Ref<TensorImpl> gradient = gradient_of(impl);
  return gradient ? gradient->info.bytes() : 0;
}

Index TapeState::value_of(const Tensor& tensor) {
  TensorImpl& impl = *tensor.impl();
  if (const Index known = find_value(impl); known >= 0) return known;
  gradients_at_start += gradient_at_start(impl);
  if (plan && gradients_at_start > plan->gradient_bytes) plan_shapes_match = false;
  if (const Index leaf = impl.requires_grad ? find_leaf(impl) : -1;
      leaf >= 0 && slot(value(leaf).slot).version == impl.storage->version) {
    impl.value = leaf;  // another tape has read it since
    impl.serial = value(leaf).serial;
    return leaf;
  }
  Index s = -1;
  if (impl.storage->table == this && slot(impl.storage->slot).current == impl.storage.get()) {
    s = impl.storage->slot;  // a detached value of this tape that became a leaf: it shares the slot
  } else {
    s = static_cast<Index>(slots.size());
    Slot& made = slots.emplace_back();
    made.strong = impl.storage;
    made.current = impl.storage.get();
    made.version = impl.storage->version;
    made.permanent = true;
    made.bytes = impl.storage->bytes;
  }
  Value& entered = values.emplace_back();
  entered.info = impl.info;
  entered.offset = impl.offset;
  entered.slot = s;
  entered.tracked = impl.requires_grad;
  entered.serial = next_serial();
  impl.value = static_cast<Index>(values.size()) - 1;
  if (impl.requires_grad) {
    entered.leaf = tensor.impl();
    leaf_values[&impl] = impl.value;
  }
  impl.serial = entered.serial;
  return impl.value;
}

Index TapeState::make_value(const Tensor& output, Index maker, Index s, bool tracked) {
  Value& made = values.emplace_back();
  made.info = output.info();
  made.offset = output.impl()->offset;
  made.slot = s;
  made.maker = maker;
  made.tracked = tracked;
  made.serial = next_serial();
  TensorImpl& impl = *output.impl();
  impl.value = static_cast<Index>(values.size()) - 1;
  impl.serial = made.serial;
  impl.requires_grad = tracked;
  impl.leaf = !tracked;
  return impl.value;
}

Tensor TapeState::handle(Index v) {
  const Value& wanted = value(v);
  if (wanted.leaf) return Tensor(wanted.leaf);
  Storage* bytes = slot(wanted.slot).current;
  if (!bytes) throw InternalError("the tape was asked for a handle of a dropped value");
  Ref<TensorImpl> impl = make_impl();
  impl->info = wanted.info;
  impl->offset = wanted.offset;
  impl->storage = Ref<Storage>(bytes);
  impl->requires_grad = wanted.tracked;
  impl->leaf = !wanted.tracked;
  impl->value = v;
  impl->serial = wanted.serial;
  return Tensor(std::move(impl));
}

void TapeState::forget(std::int32_t s) noexcept {
  slot(s).current = nullptr;
  if (moved) moved->push_back(s);
  notify(Event::drop, slot(s).maker);
}

void TapeState::bind(Index s, const Ref<Storage>& storage) {
  slot(s).current = storage.get();
  slot(s).version = storage->version;
  slot(s).touched = ++clock;
  storage->table = this;
  storage->slot = s;
  if (moved) moved->push_back(s);
}

void TapeState::settle(Index s) {
  Slot& settled = slot(s);
  if (settled.permanent) return;
  if (settled.pins > 0 || settled.holds > 0) {
    if (!settled.strong && settled.current) settled.strong = Ref<Storage>(settled.current);
  } else {
    settled.strong.reset();
  }
  // A copy that a pending backward wants stays until it is fetched, also when its region has let go of it.
  if (settled.parked == 0 && (settled.current || settled.holds == 0)) settled.host.reset();
}

void TapeState::hold(Index s) {
  ++slot(s).holds;
  settle(s);
}
void TapeState::release(Index s) {
  --slot(s).holds;
  settle(s);
}
void TapeState::pin(Index s) {
  ++slot(s).pins;
  settle(s);
}
void TapeState::unpin(Index s) {
  --slot(s).pins;
  settle(s);
}

void TapeState::hold_saves(Index n) {
  if (node(n).holding) return;
  node(n).holding = true;
  for_each_saved_slot(n, [this](Index s) { hold(s); });
}

void TapeState::release_saves(Index n) {
  if (!node(n).holding) return;
  node(n).holding = false;
  for_each_saved_slot(n, [this](Index s) { release(s); });
}

bool TapeState::evictable(Index s) const {
  const Slot& candidate = slot(s);
  return !candidate.permanent && candidate.pins == 0 && candidate.strong && candidate.strong.unique();
}

void TapeState::evict(Index s) { slot(s).strong.reset(); }

void TapeState::check_version(Index n, Index s, const char* what) const {
  const Slot& read = slot(s);
  if (!read.current || read.current->version == read.version) return;
  std::string name;
  for (const Value& v : values)
    if (v.slot == s && v.leaf && v.leaf->name) name = fmt::format(" '{}'", *v.leaf->name);
  throw UserError(fmt::format(
      "{} of {} (node {}) would read a tensor{} that was written since it was recorded: run backward before "
      "the optimizer's step, or record the step again",
      what, node(n).op->name(), n, name));
}

// ---- the public class

Tape::Tape(TapeOptions options) {
  const bool start = options.start;
  if (start && recording_tape_even_if_paused())
    throw UserError(
        "a tape is already recording on this thread: end it first, or open this one with start = false");
  state_ = std::make_unique<TapeState>(std::move(options));
  if (!start) return;
  state_->owner->ended_elsewhere = false;
  state_->owner->tape = state_.get();
}

Tape::~Tape() {
  state_->end();
  if (state_->busy == 0) return;
  state_->doomed = true;  // deleted by the engine, which is at work on it below us
  static_cast<void>(state_.release());
}

Tape::Recording::Recording(Tape& tape) : tape_(&tape.state()), life_(tape.state().life) {
  tape_->check_usable("recording");
  if (recording_tape_even_if_paused())
    throw UserError("a tape is already recording on this thread: end its recording first");
  tape_->owner->ended_elsewhere = false;
  tape_->owner->tape = tape_;
}
Tape::Recording::~Recording() {
  if (!life_->ended) stop_recording(*tape_);
}

void Tape::backward(const Tensor& loss, BackwardOptions options) {
  state_->walk(loss, {}, true,
               {std::move(options.seed), options.retain_graph, options.create_graph, false, options.commit});
}

std::vector<Tensor> Tape::gradients(const Tensor& loss, std::span<const Tensor> inputs,
                                    GradientOptions options) {
  return state_->walk(loss, inputs, false,
                      {std::move(options.seed), options.retain_graph, options.create_graph,
                       options.allow_unused, Commit::at_end});
}

void Tape::add_observer(Observer& observer) { state_->add_observer(observer); }
void Tape::remove_observer(Observer& observer) { state_->remove_observer(observer); }
void Tape::set_observer(Observer* observer) {
  state_->clear_observers();
  if (observer) state_->add_observer(*observer);
}
std::int64_t Tape::nodes() const { return state_->node_count(); }
std::int64_t Tape::replays() const { return state_->replays; }
double Tape::replayed_flops() const { return state_->replayed_flops; }
bool Tape::plan_shapes_match() const { return state_->plan_shapes_match; }

}  // namespace reprise
