// record: the only way onto the tape.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "reprise/autograd/commit.h"
#include "reprise/autograd/inline_buffer.h"
#include "reprise/autograd/op.h"
#include "reprise/autograd/op_timer.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/thread_local.h"

namespace reprise {
namespace {

thread_local ThreadScopes<OpTimer*> op_timers;
REPRISE_HOT_THREAD_LOCAL bool some_timer = false;  // was there one since the last look?

OpTimer* current_op_timer() {
  if (!some_timer) return nullptr;
  OpTimer* const* timer = op_timers.current();
  some_timer = timer != nullptr;
  return timer ? *timer : nullptr;
}

// Places are numbered by Index, and there are no more values, slots or nodes than places.
constexpr std::size_t kMostPlaces = INT32_MAX;

void check_inputs(const Op& op, const std::vector<Tensor>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined())
      throw UserError(
          fmt::format("{}: input {} is undefined (a tensor that was moved from is, too)", op.name(), i));
    const TensorImpl& impl = *inputs[i].impl();
    if (impl.info.device != inputs[0].impl()->info.device)
      throw UserError(fmt::format("{}: inputs {} and {} lie on different devices: move one with .to(Device)",
                                  op.name(), to_string(inputs[0].info()), to_string(impl.info)));
    if (impl.storage->dry && impl.storage->dry_run != current_dry_run())
      throw UserError(
          fmt::format("{}: input {} was made in a dry run that has ended: it has no values", op.name(), i));
  }
}

// ---- checks of what an op declares: what follows trusts it

[[noreturn]] void refuse(const Op& op, const std::string& declaration) {
  throw UserError(fmt::format("{}: the op's own {}", op.name(), declaration));
}

void check_places(const Op& op, const char* function, const char* kind, std::span<const int> places,
                  std::size_t count) {
  for (const int place : places)
    if (place < 0 || static_cast<std::size_t>(place) >= count)
      refuse(op, fmt::format("{} names {} {} of {}", function, kind, place, count));
}

void check_inferred(const Op& op, const std::vector<ValueInfo>& made) {
  if (made.empty()) refuse(op, "infer returned no outputs: it must return one at least");
}

void check_alias(const Op& op, const Alias& alias, const std::vector<Tensor>& inputs,
                 const std::vector<ValueInfo>& made) {
  check_places(op, "alias", "input", {&alias.input, 1}, inputs.size());
  const ValueInfo& base = inputs[static_cast<std::size_t>(alias.input)].info();
  if (made.size() != 1)
    refuse(op, fmt::format("alias is for one output, but infer returned {}", made.size()));
  if (alias.offset > base.bytes() || made[0].bytes() > base.bytes() - alias.offset ||
      made[0].device != base.device || alias.offset % size_of(made[0].dtype) != 0)
    refuse(op, fmt::format("alias places {} at byte {} of {}, where it does not fit", to_string(made[0]),
                           alias.offset, to_string(base)));
}

Saved checked_saves(const Op& op, Needs needs, std::size_t inputs, std::size_t outputs) {
  Saved saved = op.saves(needs);
  check_places(op, "saves", "input", saved.inputs, inputs);
  check_places(op, "saves", "output", saved.outputs, outputs);
  return saved;
}

// Can any output carry a gradient?
bool is_differentiable(const Op& op, std::size_t outputs) {
  const std::vector<int> places = op.differentiable();
  check_places(op, "differentiable", "output", places, outputs);
  return !places.empty();
}

// Makes room for `more` elements without the quadratic growth of repeated reserve(size + n).
template <class T>
void make_room(std::vector<T>& list, std::size_t more) {
  if (list.capacity() - list.size() < more) list.reserve(std::max(list.size() + more, 2 * list.capacity()));
}

Ref<Storage> allocate_workspace(const Op& op, std::span<const ValueInfo> infos, Device device) {
  const std::size_t bytes = op.workspace(infos, device);
  return bytes ? allocate(bytes, device, memory::Tag::workspace) : Ref<Storage>();
}

// The input whose buffer becomes that of output 0: it dies with this call, and no tape knows its bytes.
std::optional<int> overwritten_input(const Op& op, const std::vector<Tensor>& inputs,
                                     const std::vector<ValueInfo>& made) {
  const std::optional<int> i = op.overwrites();
  if (!i) return {};
  check_places(op, "overwrites", "input", {&*i, 1}, inputs.size());
  const Tensor& input = inputs[static_cast<std::size_t>(*i)];
  const bool free = sole_owner(input) && !input.impl()->storage->table && input.info() == made[0];
  return free ? i : std::nullopt;
}

// Tells a listener which allocations are the engine's own.
class EngineScope {
 public:
  explicit EngineScope(TapeState* tape) : tape_(tape && tape->listener ? tape : nullptr) {
    if (tape_) ++tape_->inside_engine;
  }
  ~EngineScope() {
    if (tape_) --tape_->inside_engine;
  }
  EngineScope(const EngineScope&) = delete;
  EngineScope& operator=(const EngineScope&) = delete;

 private:
  TapeState* tape_;
};

}  // namespace

void run_forward(const Op& op, std::span<const ConstView> in, std::span<const View> out,
                 std::span<const ValueInfo> infos) {
  const Device device = !infos.empty() ? infos[0].device : out[0].info->device;
  const Ref<Storage> workspace = allocate_workspace(op, infos, device);
  if (is_dry_run()) return;
  const auto bytes = workspace
                         ? std::span<std::byte>(static_cast<std::byte*>(workspace->data), workspace->bytes)
                         : std::span<std::byte>();
  OpTimer* const op_timer = current_op_timer();
  const auto start = op_timer ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point();
  try {
    op.forward(in, out, bytes);
  } catch (const DeviceError& error) {
    throw DeviceError(fmt::format("{} (in {})", error.what(), op.name()));
  } catch (const CaptureError& error) {
    throw CaptureError(fmt::format("{} (in {})", error.what(), op.name()));
  }
  if (!op_timer) return;
  const UserCode running("an op timer");
  op_timer->ran(op, in, out, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

TimedOps::TimedOps(OpTimer& timer) : entry_(op_timers.begin(&timer)) { some_timer = true; }
TimedOps::~TimedOps() { entry_->ended = true; }

std::vector<Tensor> record(std::shared_ptr<const Op> op, std::vector<Tensor> inputs) {
  if (!op) throw UserError("record: the op is null");
  TapeState* const tape = recording_tape();
  const Busy busy(tape);
  const EngineScope engine(tape);
  const UserCode running(kOpFunction);
  if (tape) tape->throw_pending_error();
  check_inputs(*op, inputs);
  if (tape) tape->check_known(*op, inputs);
  if (tape) tape->check_gradients_at_start(inputs);

  InlineBuffer<ValueInfo, 4> infos(inputs.size());
  InlineBuffer<bool, 8> needs(inputs.size());
  bool tracked = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    infos[i] = inputs[i].impl()->info;
    needs[i] = inputs[i].impl()->requires_grad;
    tracked |= needs[i];
  }
  const std::vector<ValueInfo> made = op->infer(infos.span());
  check_inferred(*op, made);
  tracked = tracked && tape && is_differentiable(*op, made.size());
  if (tape) tape->check_plan(*op, made);
  const std::optional<Alias> alias = op->alias(infos.span());
  if (alias) check_alias(*op, *alias, inputs, made);
  const std::optional<int> overwritten = tape ? std::nullopt : overwritten_input(*op, inputs, made);

  std::vector<Tensor> outputs;
  outputs.reserve(made.size());
  for (const ValueInfo& info : made) {
    Ref<TensorImpl> impl = make_impl();
    impl->info = info;
    if (alias) {
      const TensorImpl& base = *inputs[static_cast<std::size_t>(alias->input)].impl();
      impl->storage = base.storage;
      impl->offset = base.offset + alias->offset;
    } else if (overwritten && outputs.empty()) {
      impl->storage = inputs[static_cast<std::size_t>(*overwritten)].impl()->storage;
    } else {
      impl->storage = allocate(info.bytes(), info.device);
    }
    outputs.emplace_back(std::move(impl));
  }
  if (!alias) {
    InlineBuffer<ConstView, 8> in(inputs.size());
    InlineBuffer<View, 8> out(outputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      in[i] = {inputs[i].impl()->storage->data ? inputs[i].impl()->data() : nullptr, &inputs[i].impl()->info};
    for (std::size_t j = 0; j < outputs.size(); ++j)
      out[j] = {outputs[j].impl()->storage->data, &outputs[j].impl()->info};
    run_forward(*op, in.span(), out.span(), infos.span());
  }
  if (tape) {
    tape->append(std::move(op), inputs, outputs, infos.span(), Needs{needs.span()}, tracked, alias);
    tape->check_not_doomed("record");
  }
  return outputs;
}

void TapeState::check_plan(const Op& op, std::span<const ValueInfo> outputs) {
  if (!plan || plan_fits || walking) return;
  const std::size_t n = nodes.size();
  if (n >= plan->nodes.size())
    throw UserError(
        fmt::format("plan: node {} is {}, but the plan was made for a step of {} nodes: plan this step again",
                    n, op.name(), plan->nodes.size()));
  const PlanNode& expected = plan->nodes[n];
  if (expected.op != op.name())
    throw UserError(fmt::format(
        "plan: node {} is {}, but the plan was made for a step with {} there: plan this step again", n,
        op.name(), expected.op));
  // Attributes may hold shapes (reshape, slice), as those of a last, smaller batch.
  if (expected.shape != outputs[0].shape || expected.attributes != op.attributes()) plan_shapes_match = false;
}

// The peak of a plan holds for the gradients that were there when it was made; each later one comes on top.
void TapeState::check_gradients_at_start(std::span<const Tensor> inputs) const {
  if (!plan || plan->budget == 0) return;
  std::size_t found = gradients_at_start;
  for (const Tensor& input : inputs) {
    const TensorImpl& leaf = *input.impl();
    const std::size_t more = gradient_at_start(leaf);
    found += more;
    if (more == 0 || found <= plan->gradient_bytes) continue;
    const std::size_t peak = plan->predicted_peak() + (found - plan->gradient_bytes);
    if (peak > plan->budget)
      throw UserError(
          fmt::format("plan: the leaf {}{}{} holds a gradient already, so the step may need {} bytes, over "
                      "the plan's budget of {}: "
                      "plan with .gradients = true, or call zero_grad() before the step",
                      leaf.name ? *leaf.name : std::string(), leaf.name ? " " : "", to_string(leaf.info),
                      peak, plan->budget));
  }
}

void TapeState::check_known(const Op& op, std::span<Tensor> inputs) const {
  for (Tensor& input : inputs) {
    if (input.impl()->leaf || find_value(*input.impl()) >= 0) continue;
    if (!op.differentiable().empty())
      throw UserError(
          fmt::format("{}: an input {} was made on another tape, or on one that has ended; detach() it",
                      op.name(), to_string(input.info())));
    // A handle of its own: the value keeps its place on its tape.
    input = untracked(input);
  }
}

void TapeState::append(std::shared_ptr<const Op> op, std::span<const Tensor> inputs,
                       std::span<const Tensor> outputs, std::span<const ValueInfo> infos, Needs needs,
                       bool tracked, const std::optional<Alias>& alias) {
  // First everything that can fail, then the change.
  const Saved saved = tracked ? checked_saves(*op, needs, inputs.size(), outputs.size()) : Saved{};
  const bool permanent = op->keep() == Keep::never_replay;
  const std::size_t saves = saved.inputs.size() + saved.outputs.size();
  if (places.size() + inputs.size() + outputs.size() + saves > kMostPlaces)
    throw UserError(fmt::format("{}: the tape is full: it holds {} nodes; end it and open another",
                                op->name(), nodes.size()));
  make_room(nodes, 1);
  make_room(places, inputs.size() + outputs.size() + saves);
  make_room(values, inputs.size() + outputs.size());
  make_room(slots, inputs.size() + outputs.size());
  open_plan_regions();
  const Index n = node_count();
  const Index outer = innermost ? outermost(innermost) : 0;
  std::vector<Decision> decisions;
  std::vector<OffloadedCopy> copies;
  if (outer && !alias) {
    NodeInfo described{op->name(), 0, 0};
    if (region(outer).policy) {
      for (const Tensor& output : outputs) described.bytes += output.bytes();
      described.flops = op->flops(infos);
    }
    decisions.resize(outputs.size());
    copies.resize(outputs.size());
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      decisions[j] = decide(outer, n, static_cast<Index>(j), described);
      if (decisions[j] == Decision::offload) {
        const Storage& storage = *outputs[j].impl()->storage;
        copies[j] = OffloadedCopy(storage.data, storage.bytes, storage.device);
      }
    }
  }
  if (outer) {
    make_room(region(outer).held, inputs.size() + outputs.size());
    make_room(region(outer).kept, outputs.size());
    make_room(region(outer).parked, outputs.size());
  }

  ++clock;
  Node& appended = nodes.emplace_back();
  appended.first_place = static_cast<Index>(places.size());
  appended.inputs = static_cast<std::uint32_t>(inputs.size());
  appended.outputs = static_cast<std::uint32_t>(outputs.size());
  appended.saves = static_cast<std::uint32_t>(saves);
  appended.tracked = tracked;
  appended.region = innermost;
  for (const Tensor& input : inputs) {
    const Index v = value_of(input);
    places.push_back(v);
    slot(value(v).slot).touched = clock;
  }
  for (const Tensor& output : outputs) {
    Index s = -1;
    if (alias) {
      s = value(places[static_cast<std::size_t>(appended.first_place + alias->input)]).slot;
    } else {
      s = static_cast<Index>(slots.size());
      Slot& made = slots.emplace_back();
      made.maker = n;
      made.bytes = output.impl()->storage->bytes;
      made.device = output.device();
      made.permanent = permanent;
      if (permanent) made.strong = output.impl()->storage;
      bind(s, output.impl()->storage);
    }
    places.push_back(make_value(output, n, s, tracked && is_floating(output.dtype())));
  }
  for (const int place : saved.inputs) places.push_back(place);
  for (const int place : saved.outputs) places.push_back(static_cast<Index>(inputs.size()) + place);
  appended.op = std::move(op);

  if (!outer) {
    if (tracked) hold_saves(n);
  } else {
    for (const Index v : this->inputs(appended)) {
      const Index s = value(v).slot;
      if (inside(outer, slot(s).maker) || slot(s).held_by_record == outer) continue;
      slot(s).held_by_record = outer;
      region(outer).held.push_back(s);
      hold(s);
    }
    for (std::size_t j = 0; j < decisions.size(); ++j) {
      const Index s = value(this->outputs(appended)[j]).slot;
      if (decisions[j] == Decision::keep) {
        region(outer).kept.push_back(s);
        region(outer).held.push_back(s);
        hold(s);
      } else if (decisions[j] == Decision::offload) {
        slot(s).host = std::move(copies[j]);
        ++slot(s).parked;
        region(outer).parked.push_back(s);
        notify(Event::offload, n);
      }
    }
  }
  notify(Event::forward, n);
  if (listener && !walking) listener->node(n);
  close_plan_regions();
}

}  // namespace reprise
