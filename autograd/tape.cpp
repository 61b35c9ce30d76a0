// The tape's values and slots: who is on the tape, where its bytes are, who keeps them.
#include "reprise/autograd/tape.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/autograd/tape_state.h"
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

REPRISE_HOT_THREAD_LOCAL TapeState* recording = nullptr;
REPRISE_HOT_THREAD_LOCAL bool paused = false;
thread_local std::vector<std::pair<const TapeState*, std::uint64_t>> live_tapes;
thread_local Recycled recycled;
std::atomic<std::uint64_t> next_tape_id{1};

// Serials of one thread never repeat, and never meet another thread's.
std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> threads{1};
  REPRISE_HOT_THREAD_LOCAL std::uint64_t serial = 0;
  if (serial == 0) serial = threads.fetch_add(1) << 40U;
  return ++serial;
}

}  // namespace

TapeState* recording_tape() { return paused ? nullptr : recording; }
void set_recording_tape(TapeState* tape) { recording = tape; }
TapeState* recording_tape_even_if_paused() { return recording; }
bool recording_paused() { return paused; }
void set_recording_paused(bool paused_now) { paused = paused_now; }
bool tape_alive(const TapeState* tape, std::uint64_t id) {
  return std::find(live_tapes.begin(), live_tapes.end(), std::pair{tape, id}) != live_tapes.end();
}

TapeState::TapeState(TapeOptions options)
    : plan(options.plan ? std::make_shared<const Plan>(*std::move(options.plan)) : nullptr),
      id(next_tape_id++),
      thread(std::this_thread::get_id()) {
  nodes.swap(recycled.nodes);
  places.swap(recycled.places);
  values.swap(recycled.values);
  slots.swap(recycled.slots);
  regions.emplace_back();
  live_tapes.emplace_back(this, id);
}

TapeState::~TapeState() {
  if (recording == this) recording = nullptr;
  std::erase(live_tapes, std::pair<const TapeState*, std::uint64_t>{this, id});
  observer = nullptr;
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

Index TapeState::value_of(const Tensor& tensor) {
  TensorImpl& impl = *tensor.impl();
  if (const Index known = find_value(impl); known >= 0) return known;
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
  notify(Event::drop, slot(s).maker);
}

void TapeState::bind(Index s, const Ref<Storage>& storage) {
  slot(s).current = storage.get();
  slot(s).version = storage->version;
  slot(s).touched = ++clock;
  storage->table = this;
  storage->slot = s;
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

void TapeState::throw_pending_error() {
  if (!pending_error.empty()) throw UserError(std::exchange(pending_error, {}));
}

void TapeState::check_thread(const char* what) const {
  if (thread != std::this_thread::get_id())
    throw UserError(
        fmt::format("{}: this tape was opened on another thread; a tape is used by one thread", what));
}

// ---- the public class

Tape::Tape(TapeOptions options) {
  const bool start = options.start;
  if (start && recording)
    throw UserError(
        "a tape is already recording on this thread: end it first, or open this one with start = false");
  state_ = std::make_unique<TapeState>(std::move(options));
  if (start) recording = state_.get();
}
Tape::~Tape() = default;

Tape::Recording::Recording(Tape& tape) {
  tape.state().check_thread("recording");
  if (recording) throw UserError("a tape is already recording on this thread: end its recording first");
  recording = &tape.state();
}
Tape::Recording::~Recording() { recording = nullptr; }

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

void Tape::set_observer(Observer* observer) { state_->observer = observer; }
std::int64_t Tape::nodes() const { return state_->node_count(); }
std::int64_t Tape::replays() const { return state_->replays; }
double Tape::replayed_flops() const { return state_->replayed_flops; }
bool Tape::plan_shapes_match() const { return state_->plan_shapes_match; }

}  // namespace reprise
