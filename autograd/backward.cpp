// The backward walk: nodes in reverse, opening regions as it meets them, replaying what is missing.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "reprise/autograd/commit.h"
#include "reprise/autograd/inline_buffer.h"
#include "reprise/autograd/intrinsics.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/unlisted.h"

namespace reprise {
namespace {

// What a walk uses per value and node, recycled between walks of a thread.
struct Buffers {
  std::vector<Tensor> gradients;      // per value
  std::vector<std::uint8_t> leads;    // per value: leads to something wanted
  std::vector<std::uint8_t> reached;  // per value: the loss depends on it
  std::vector<std::uint8_t> wanted;   // per value: its gradient is a result
  std::vector<std::uint8_t> active;   // per node
  std::vector<Index> active_before;   // per node
  std::vector<Index> last_use;  // per value: the node after whose backward a leaf's gradient is complete
};
thread_local Buffers spare_buffers;

class WalkRun {
 public:
  WalkRun(TapeState& tape, const Tensor& loss, std::span<const Tensor> wanted, bool accumulate,
          WalkRequest request)
      : tape_(tape),
        loss_(loss),
        wanted_(wanted),
        accumulate_(accumulate),
        request_(std::move(request)),
        buffers_(std::exchange(spare_buffers, {})) {
    walk_.retain = request_.retain_graph || request_.create_graph;
    walk_.create = request_.create_graph;
    walk_.active.swap(buffers_.active);
    walk_.active_before.swap(buffers_.active_before);
  }
  ~WalkRun() {
    walk_.active.swap(buffers_.active);
    walk_.active_before.swap(buffers_.active_before);
    buffers_.gradients.clear();
    spare_buffers = std::move(buffers_);
  }
  WalkRun(const WalkRun&) = delete;
  WalkRun& operator=(const WalkRun&) = delete;

  std::vector<Tensor> run();

 private:
  Index enter_loss();
  void find_active(Index loss);
  void tell_listener();
  void find_last_uses();
  void go(Index loss);
  void run_backward(Index n);
  void check_differentiable(Index n, std::span<const Tensor> arrived) const;
  void accumulate(Index v, Tensor more);
  void leaf_complete(Index n);
  void restore_after_failure();

  std::uint8_t& leads(Index v) { return buffers_.leads[static_cast<std::size_t>(v)]; }
  std::uint8_t& reached(Index v) { return buffers_.reached[static_cast<std::size_t>(v)]; }
  bool active(Index n) const { return walk_.active[static_cast<std::size_t>(n)] != 0; }
  Tensor& gradient(Index v) { return buffers_.gradients[static_cast<std::size_t>(v)]; }

  TapeState& tape_;
  const Tensor& loss_;
  std::span<const Tensor> wanted_;
  bool accumulate_;
  WalkRequest request_;
  Buffers buffers_;
  Walk walk_;
  std::vector<Index> wanted_values_;
  Index node_limit_ = 0;
  std::size_t value_limit_ = 0;
  std::size_t slot_limit_ = 0;
  std::size_t region_limit_ = 0;
};

const char* what(bool accumulate) { return accumulate ? "backward" : "gradients"; }

Index WalkRun::enter_loss() {
  if (!loss_.defined()) throw UserError(fmt::format("{}: the loss is undefined", what(accumulate_)));
  refuse_ended_dry_run(what(accumulate_), "the loss", loss_);
  refuse_ended_dry_run(what(accumulate_), "the seed", request_.seed);
  if (!loss_.requires_grad())
    throw UserError(fmt::format(
        "{}: the loss does not depend on anything that requires a gradient: no tape recorded it, or "
        "all of its leaves are constants. Open the Tape before the forward pass, and "
        "set_requires_grad(true) on the leaves",
        what(accumulate_)));
  if (!loss_.is_leaf() && tape_.find_value(*loss_.impl()) < 0)
    throw UserError(
        fmt::format("{}: the loss was made on another tape, or on one that has ended", what(accumulate_)));
  if (!request_.seed.defined()) {
    if (loss_.numel() != 1)
      throw UserError(
          fmt::format("{}: the loss has shape {}, not one element: reduce it (mean, sum) or pass a seed",
                      what(accumulate_), to_string(loss_.shape())));
  } else if (request_.seed.info() != loss_.info()) {
    throw UserError(fmt::format("{}: the seed {} does not fit the loss {}", what(accumulate_),
                                to_string(request_.seed.info()), to_string(loss_.info())));
  }
  const Index loss = tape_.value_of(loss_);
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    const Tensor& input = wanted_[i];
    if (!input.defined()) throw UserError(fmt::format("gradients: input {} is undefined", i));
    if (!input.requires_grad())
      throw UserError(fmt::format("gradients: input {} does not require a gradient", i));
    Index v = tape_.find_value(*input.impl());
    if (v < 0) v = tape_.find_leaf(*input.impl());  // read by another tape, or written, since
    wanted_values_.push_back(v);
  }
  return loss;
}

// active = on a path from the loss to something wanted. What cannot work is refused here, before anything runs.
void WalkRun::find_active(Index loss) {
  const std::size_t values = tape_.values.size();
  const auto nodes = static_cast<std::size_t>(node_limit_);
  buffers_.leads.assign(values, 0);
  buffers_.reached.assign(values, 0);
  buffers_.wanted.assign(values, 0);
  walk_.active.assign(nodes, 0);
  walk_.active_before.assign(nodes + 1, 0);
  if (accumulate_) {
    for (std::size_t v = 0; v < values; ++v) buffers_.leads[v] = tape_.values[v].tracked;
  } else {
    for (const Index v : wanted_values_)
      if (v >= 0) leads(v) = buffers_.wanted[static_cast<std::size_t>(v)] = 1;
    for (const Node& node : tape_.nodes) {
      if (!node.tracked) continue;
      const auto inputs = tape_.inputs(node);
      if (std::none_of(inputs.begin(), inputs.end(), [this](Index v) { return leads(v); })) continue;
      for (const Index v : tape_.outputs(node)) leads(v) = 1;
    }
  }
  reached(loss) = 1;
  for (Index n = tape_.value(loss).maker; n >= 0; --n) {
    const Node& node = tape_.node(n);
    if (!node.tracked) continue;
    const auto inputs = tape_.inputs(node), outputs = tape_.outputs(node);
    const auto leading = [this](Index v) { return leads(v) != 0; };
    if (std::none_of(outputs.begin(), outputs.end(), [&](Index v) { return reached(v) && leading(v); }) ||
        std::none_of(inputs.begin(), inputs.end(), leading))  // what is wanted lies after it
      continue;
    if (node.spent)
      throw UserError(
          fmt::format("{}: a second time through {} (node {}), whose saved values are gone: pass "
                      "retain_graph = true to the first",
                      what(accumulate_), node.op->name(), n));
    walk_.active[static_cast<std::size_t>(n)] = 1;
    for (const Index v : inputs)
      if (leads(v)) reached(v) = 1;
  }
  for (std::size_t n = 0; n < nodes; ++n)
    walk_.active_before[n + 1] = walk_.active_before[n] + walk_.active[n];
  if (!request_.allow_unused)
    for (std::size_t i = 0; i < wanted_values_.size(); ++i)
      if (wanted_values_[i] < 0 || !reached(wanted_values_[i]))
        throw UserError(
            fmt::format("gradients: the loss does not depend on input {}: pass allow_unused = true for an "
                        "undefined gradient",
                        i));
  for (Region& region : tape_.regions) {
    region.needed_later = false;
    if (region.parent != 0 || !walk_.any_active(region.first, region.last)) continue;
    for (Index n = region.first; n < region.last && !region.needed_later; ++n)
      region.needed_later = tape_.node(n).tracked && !tape_.node(n).spent && !active(n);
  }
}

// A listener may enter the seed as a value.
void WalkRun::tell_listener() {
  tape_.listener->backward(loss_, wanted_values_, accumulate_, request_);
  value_limit_ = tape_.values.size();
  slot_limit_ = tape_.slots.size();
  for (std::vector<std::uint8_t>* flags : {&buffers_.leads, &buffers_.reached, &buffers_.wanted})
    flags->resize(value_limit_);
}

void WalkRun::find_last_uses() {
  if (!tape_.observed() && request_.commit != Commit::eager) return;
  buffers_.last_use.assign(tape_.values.size(), -1);
  for (Index n = node_limit_ - 1; n >= 0; --n) {
    if (!active(n)) continue;
    for (const Index v : tape_.inputs(tape_.node(n)))
      if (tape_.value(v).leaf) buffers_.last_use[static_cast<std::size_t>(v)] = n;
  }
}

// The gradient of a leaf of 16 bits is summed in f32, and that of any other value where one summand is f32.
void WalkRun::accumulate(Index v, Tensor more) {
  Tensor& sum = gradient(v);
  if (tape_.value(v).leaf) {
    const DType dtype = gradient_dtype(more.dtype());
    more = cast(std::move(more), dtype);
  }
  if (sum.defined() && sum.dtype() != more.dtype()) {
    sum = cast(std::move(sum), DType::f32);
    more = cast(std::move(more), DType::f32);
  }
  if (!sum.defined()) {
    sum = std::move(more);
    if (accumulate_ && tape_.value(v).leaf && sole_owner(sum))
      retag(*sum.impl()->storage, memory::Tag::gradient);
  } else if (!walk_.create && sole_owner(sum)) {
    add_in_place(sum, more);
  } else {
    sum = add_gradients(std::move(sum), std::move(more));
  }
}

// Does a gradient fit the value? One of a value of 16 bits may be f32.
bool fits(const ValueInfo& gradient, const ValueInfo& value) {
  return gradient.shape == value.shape && gradient.device == value.device &&
         (gradient.dtype == value.dtype || gradient.dtype == gradient_dtype(value.dtype));
}

// A gradient that arrives where the op defines none would be lost.
void WalkRun::check_differentiable(Index n, std::span<const Tensor> arrived) const {
  const Op& op = *tape_.node(n).op;
  const std::vector<int> differentiable = op.differentiable();
  for (std::size_t j = 0; j < arrived.size(); ++j)
    if (arrived[j].defined() &&
        std::find(differentiable.begin(), differentiable.end(), static_cast<int>(j)) == differentiable.end())
      throw UserError(
          fmt::format("{}: the loss depends on output {} of {} (node {}), which carries no gradient: "
                      "detach() it",
                      what(accumulate_), j, op.name(), n));
}

// An op's backward returns one gradient per input, each like its input. An undefined one is zero.
void check_gradients(const Op& op, std::span<const Tensor> gradients, std::span<const ValueInfo> infos,
                     std::span<const bool> needs) {
  if (gradients.size() != infos.size())
    throw UserError(fmt::format("{}: backward returned {} gradients for {} inputs", op.name(),
                                gradients.size(), infos.size()));
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!needs[i] || !gradients[i].defined()) continue;
    if (!fits(gradients[i].info(), infos[i]))
      throw UserError(fmt::format("{}: backward returned a gradient {} for input {}, which is {}", op.name(),
                                  to_string(gradients[i].info()), i, to_string(infos[i])));
    refuse_ended_dry_run(op.name(), "a gradient that backward returned", gradients[i]);
  }
}

void WalkRun::run_backward(Index n) {
  for (Index r = tape_.node(n).region; r != 0; r = tape_.region(r).parent) tape_.pass(r, n, walk_);
  // Saves that are missing come by replay; then open regions let go of what none of their pending saves misses.
  bool missing = false;
  tape_.for_each_saved_slot(n, [&](Index s) { missing |= tape_.slot(s).current == nullptr; });
  if (missing) {
    std::vector<Index> targets;
    tape_.for_each_saved_slot(n, [&](Index s) { targets.push_back(s); });
    tape_.materialize(targets);
    for (Index r = tape_.node(n).region; r != 0; r = tape_.region(r).parent)
      if (tape_.region(r).holding && tape_.may_release(r, walk_) && !tape_.misses_bytes(r, n, walk_))
        tape_.release_region(r);
  }
  // Pinned, so that eviction during the op's own allocations does not take them.
  struct PinnedSaves {
    TapeState& tape;
    Index n;
    bool pinned = true;
    PinnedSaves(TapeState& t, Index i) : tape(t), n(i) {
      tape.for_each_saved_slot(n, [this](Index s) { tape.pin(s); });
    }
    ~PinnedSaves() { unpin(); }
    void unpin() {
      if (std::exchange(pinned, false)) tape.for_each_saved_slot(n, [this](Index s) { tape.unpin(s); });
    }
    PinnedSaves(const PinnedSaves&) = delete;
    PinnedSaves& operator=(const PinnedSaves&) = delete;
  };
  {
    PinnedSaves pinned(tape_, n);
    tape_.for_each_saved_slot(n, [&](Index s) {
      tape_.check_version(n, s, "backward");
      tape_.slot(s).touched = ++tape_.clock;
    });
    const auto in = static_cast<std::size_t>(tape_.node(n).inputs),
               out = static_cast<std::size_t>(tape_.node(n).outputs);
    InlineBuffer<ValueInfo, 4> infos(in);
    InlineBuffer<bool, 8> needs(in);
    InlineBuffer<Tensor, 8> tensors(in + out), arrived(out);
    bool any = false;
    for (std::size_t i = 0; i < in; ++i) {
      const Index v = tape_.inputs(tape_.node(n))[i];
      infos[i] = tape_.value(v).info;
      needs[i] = leads(v) && tape_.value(v).tracked;
    }
    for (std::size_t j = 0; j < out; ++j) {
      const Index v = tape_.outputs(tape_.node(n))[j];
      any |= gradient(v).defined();
      if (buffers_.wanted[static_cast<std::size_t>(v)])
        arrived[j] = gradient(v);
      else
        arrived[j] = std::move(gradient(v));
      if (arrived[j].defined()) arrived[j] = cast(std::move(arrived[j]), tape_.value(v).info.dtype);
    }
    if (any) {
      check_differentiable(n, arrived.span());
      for (const Index place : tape_.saved_places(tape_.node(n)))
        tensors[static_cast<std::size_t>(place)] = tape_.handle(tape_.place_value(tape_.node(n), place));
      // A region can make its values again, should the walk fail: from here on the handles alone hold them, so that the
      // op can let go of one early.
      if (tape_.node(n).region != 0) {
        pinned.unpin();
        tape_.release_saves(n);
      }
      const std::shared_ptr<const Op> op = tape_.node(n).op;  // create_graph appends nodes
      std::vector<Tensor> gradients = op->backward({tensors.span().first(in), tensors.span().subspan(in),
                                                    arrived.span(), infos.span(), Needs{needs.span()}},
                                                   arrived.span());
      for (std::size_t j = 0; j < out; ++j) arrived[j] = Tensor();
      check_gradients(*op, gradients, infos.span(), needs.span());
      for (std::size_t i = 0; i < in; ++i)
        if (needs[i] && gradients[i].defined())
          accumulate(tape_.inputs(tape_.node(n))[i], std::move(gradients[i]));
    }
    tape_.notify(Event::backward, n);  // before the handles go, and with them what nobody else holds
  }
  if (tape_.node(n).region != 0 || !walk_.retain) tape_.release_saves(n);
  tape_.node(n).spent = !walk_.retain;
  if (tape_.observed() || request_.commit == Commit::eager) leaf_complete(n);
}

void WalkRun::leaf_complete(Index n) {
  for (std::size_t i = 0; i < tape_.node(n).inputs; ++i) {
    const Index v = tape_.inputs(tape_.node(n))[i];
    if (!tape_.value(v).leaf || buffers_.last_use[static_cast<std::size_t>(v)] != n || !gradient(v).defined())
      continue;
    buffers_.last_use[static_cast<std::size_t>(v)] = -1;  // a leaf that the node reads twice
    if (tape_.observed()) {
      const Tensor leaf(tape_.value(v).leaf);
      tape_.notify(Event::leaf_gradient, n, &leaf, &gradient(v));
    }
    if (accumulate_ && request_.commit == Commit::eager)
      commit_gradient(tape_.value(v).leaf, std::move(gradient(v)), walk_.create);
  }
}

void WalkRun::go(Index loss) {
  accumulate(loss, request_.seed.defined() ? std::move(request_.seed) : ones_like(loss_.info()));
  Index inside = 0;  // the innermost open region
  const auto close = [&] {
    tape_.close_region(inside, walk_);
    inside = tape_.region(inside).parent;
  };
  for (Index n = tape_.value(loss).maker; n >= 0;) {
    while (inside != 0 && n < tape_.region(inside).first) close();
    Index r = tape_.node(n).region;
    if (r == inside) {
      if (active(n)) run_backward(n);
      --n;
      continue;
    }
    while (tape_.region(r).parent != inside) r = tape_.region(r).parent;
    if (!walk_.any_active(tape_.region(r).first, tape_.region(r).last)) {
      n = tape_.region(r).first - 1;
      continue;
    }
    inside = r;
    tape_.open_region(r, walk_);
  }
  while (inside != 0) close();
}

void WalkRun::restore_after_failure() {
  buffers_.gradients.clear();
  if (walk_.create) tape_.rewind(node_limit_, value_limit_, slot_limit_, region_limit_);
  for (std::size_t r = 1; r < region_limit_; ++r) {
    Region& region = tape_.regions[r];
    region.open = false;
    if (region.parent != 0) tape_.release_region(static_cast<Index>(r));
  }
  for (Index n = 0; n < node_limit_; ++n) {
    Node& node = tape_.node(n);
    if (active(n)) node.spent = false;
    if (node.region != 0)
      tape_.release_saves(n);
    else if (node.tracked && !node.spent)
      tape_.hold_saves(n);
  }
  for (std::size_t r = 1; r < region_limit_; ++r) {
    const Region& region = tape_.regions[r];
    if (region.parent == 0 && walk_.any_active(region.first, region.last))
      tape_.hold_region(static_cast<Index>(r));
  }
}

// Gradient ops go on this tape with create_graph, and nowhere without. User code in the walk may end any tape.
class RecordingOfWalk {
 public:
  RecordingOfWalk(TapeState& tape, bool create)
      : tape_(tape), thread_(this_thread()), create_(create), paused_(thread_.paused), before_(thread_.tape) {
    tape_.walking = true;
    if (!create_) {
      ++thread_.paused;
      return;
    }
    if (before_) life_ = before_->life;
    thread_.tape = &tape_;
    thread_.paused = 0;
  }
  ~RecordingOfWalk() {
    tape_.walking = false;
    if (!create_) {
      --thread_.paused;
      return;
    }
    thread_.paused += paused_;
    if (thread_.tape == &tape_ || !thread_.tape) thread_.tape = life_ && !life_->ended ? before_ : nullptr;
  }
  RecordingOfWalk(const RecordingOfWalk&) = delete;
  RecordingOfWalk& operator=(const RecordingOfWalk&) = delete;

 private:
  TapeState& tape_;
  ThreadRecording& thread_;
  bool create_;
  std::int32_t paused_;
  TapeState* before_;
  std::shared_ptr<TapeLife> life_;
};

std::vector<Tensor> WalkRun::run() {
  const Index loss = enter_loss();
  node_limit_ = tape_.node_count();
  value_limit_ = tape_.values.size();
  slot_limit_ = tape_.slots.size();
  region_limit_ = tape_.regions.size();
  find_active(loss);
  if (tape_.listener) tell_listener();
  find_last_uses();
  buffers_.gradients.clear();
  buffers_.gradients.resize(value_limit_);

  const RecordingOfWalk recording(tape_, walk_.create);
  if (accumulate_) begin_gradient_walk(tape_.life.get());
  try {
    go(loss);
    tape_.check_not_doomed(what(accumulate_));
    tape_.check_usable(what(accumulate_));  // an op's backward may have opened a dry run
    tape_.throw_pending_error();
    if (accumulate_) commit_gradients(tape_, buffers_.gradients, walk_.create);
  } catch (...) {
    restore_after_failure();
    throw;
  }
  std::vector<Tensor> results;
  for (const Index v : wanted_values_) {
    Tensor result = v < 0 ? Tensor() : gradient(v);
    if (result.defined() && !tape_.value(v).leaf) result = cast(std::move(result), tape_.value(v).info.dtype);
    results.push_back(std::move(result));
  }
  return results;
}

// A leaf that was moved or converted since the tape read it cannot take the gradient of what it was.
void check_leaves(const TapeState& tape, const char* call) {
  for (const Value& value : tape.values)
    if (value.leaf && value.leaf->info != value.info)
      throw UserError(
          fmt::format("{}: the leaf{} is {} now, but was {} in the forward pass: it was moved or converted "
                      "in between; run the "
                      "forward pass again",
                      call, value.leaf->name ? " '" + *value.leaf->name + "'" : "",
                      to_string(value.leaf->info), to_string(value.info)));
}

}  // namespace

std::vector<Tensor> TapeState::walk(const Tensor& loss, std::span<const Tensor> wanted, bool accumulate,
                                    WalkRequest request) {
  check_usable(what(accumulate));
  throw_pending_error();
  if (walking)
    throw UserError(fmt::format("{}: called inside a backward of the same tape", what(accumulate)));
  if (busy > 0)
    throw UserError(fmt::format("{}: called inside an observer of the same tape", what(accumulate)));
  const Busy busy_here(this);
  close_plan_regions(true);
  if (innermost != 0)
    throw UserError(
        fmt::format("{}: called inside an open checkpoint region: end the region first", what(accumulate)));
  check_leaves(*this, what(accumulate));
  std::vector<Tensor> results = WalkRun(*this, loss, wanted, accumulate, std::move(request)).run();
  if (listener) listener->backward_done(results);
  return results;
}

void TapeState::rewind(Index node_limit, std::size_t value_limit, std::size_t slot_limit,
                       std::size_t region_limit) {
  for (std::size_t r = regions.size(); r-- > region_limit;) {
    release_region(static_cast<Index>(r));
    std::vector<Index>& siblings = region(regions[r].parent).children;
    if (!siblings.empty() && siblings.back() == static_cast<Index>(r)) siblings.pop_back();
  }
  innermost = 0;
  regions.resize(region_limit);
  for (Index n = node_count() - 1; n >= node_limit; --n) release_saves(n);
  if (node_limit < node_count()) places.resize(static_cast<std::size_t>(node(node_limit).first_place));
  nodes.resize(static_cast<std::size_t>(node_limit));
  std::erase_if(leaf_values,
                [&](const auto& entry) { return entry.second >= static_cast<Index>(value_limit); });
  values.resize(value_limit);
  for (std::size_t s = 0; s < slots.size(); ++s) {
    if (slots[s].held_by_record >= static_cast<Index>(region_limit)) slots[s].held_by_record = 0;
    if (s >= slot_limit && slots[s].current && slots[s].current->table == this)
      slots[s].current->table = nullptr;
  }
  slots.resize(slot_limit);
}

}  // namespace reprise
