#include "reprise/checkpoint/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "reprise/autograd/tape_state.h"
#include "reprise/checkpoint/plan_diff.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/lifetime.h"
#include "reprise/core/memory.h"

namespace reprise::checkpoint {
namespace {

// Live bytes after each node, and what replays cost.
struct Figures final : Observer {
  Figures(const Trace& step, Simulation& figures) : trace(step), result(figures) {
    result.live.reserve(2 * trace.nodes.size());
  }
  void on(Event event, NodeId node, const Tensor*, const Tensor*) override {
    if (event != Event::forward && event != Event::replay && event != Event::backward) return;
    result.live.push_back(memory::live(trace.device));
    if (event == Event::replay)
      result.replayed_seconds += trace.nodes[static_cast<std::size_t>(node.i)].seconds;
    if (const std::size_t peak = memory::peak_without_data(trace.device); peak > highest) {
      highest = peak;
      result.peak_node = node.i;
      result.peak_backward = -1;
      asks = event != Event::forward;
    }
    if (event == Event::backward && std::exchange(asks, false)) result.peak_backward = node.i;
  }
  const Trace& trace;
  Simulation& result;
  std::size_t highest = 0;
  bool asks = false;  // the backward that asked for the peak's node is still to come
};

// What lives and the highest since the moment before, from the first allocation on.
struct Moments final : Observer, LifetimeListener {
  Moments(Device d, std::vector<Moment>& m) : device(d), moments(m) { set_lifetime_listener(this); }
  ~Moments() override { set_lifetime_listener(nullptr); }
  Moments(const Moments&) = delete;
  Moments& operator=(const Moments&) = delete;
  void allocated(const Storage& storage) noexcept override {
    if (std::exchange(allocated_since, true)) return;
    memory::reset_peak(device);
    if (!moments.empty())
      moments.back().after =
          memory::peak_without_data(device) - (storage.tag == memory::Tag::data ? 0 : storage.bytes);
  }
  void handle_died(const TensorImpl&) noexcept override {}
  void on(Event event, NodeId node, const Tensor*, const Tensor*) override {
    if (event != Event::forward && event != Event::replay && event != Event::backward) return;
    if (!allocated_since)
      memory::reset_peak(device);  // what lives now is the highest, and what the moment before left
    const std::size_t highest = memory::peak_without_data(device);
    if (!std::exchange(allocated_since, false) && !moments.empty()) moments.back().after = highest;
    moments.push_back({event, node.i, highest, highest});
  }
  Device device;
  std::vector<Moment>& moments;
  bool allocated_since = false;
};

// Stands in for the user's code: makes, hands over and lets go of handles as the trace says.
class Driver {
 public:
  explicit Driver(const Trace& trace)
      : trace_(trace), handles_(trace.values.size()), buffers_(trace.values.size(), -1) {
    for (std::size_t b = static_cast<std::size_t>(trace.tape_values); b < trace.values.size(); ++b)
      buffer_of(trace.values[b]) = static_cast<Index>(b);
    // What was there before the step.
    std::vector<Index> first_with(trace.values.size(), -1);  // of each storage
    for (Index v = 0; v < trace.tape_values; ++v) {
      const TraceValue& value = trace.values[static_cast<std::size_t>(v)];
      Index& first = first_with[static_cast<std::size_t>(value.storage)];
      const bool is_first = first < 0;
      if (is_first && (value.maker >= 0 || buffer_of(value) < 0)) first = v;
      if (value.maker >= 0 || buffer_of(value) >= 0) continue;
      if (is_first)
        handles_[static_cast<std::size_t>(v)] = make(value, allocate(value.bytes, value.device));
      else if (handle(first).defined())
        handles_[static_cast<std::size_t>(v)] = make(value, handle(first).impl()->storage);
      // else: made by a node of the tape, detached and made a leaf; it is found when it is read
    }
  }

  void run(Tape& tape, const Plan& plan, Observer& observer) {
    tape.state().plan = std::shared_ptr<const Plan>(std::shared_ptr<const Plan>(), &plan);
    tape.state().plan_fits = true;
    tape.set_observer(&observer);
    for (const TraceEvent& event : trace_.events) switch (event.kind) {
        case TraceEvent::Kind::node:
          run_node(trace_.nodes[static_cast<std::size_t>(event.index)]);
          break;
        case TraceEvent::Kind::allocate: {
          const TraceValue& value = trace_.values[static_cast<std::size_t>(event.index)];
          handle(event.index) = make(value, allocate(value.bytes, value.device));
          break;
        }
        case TraceEvent::Kind::release:
          handle(event.index) = Tensor();
          break;
        case TraceEvent::Kind::backward:
          run_backward(tape, trace_.backwards[static_cast<std::size_t>(event.index)]);
          break;
      }
  }

 private:
  Tensor& handle(Index v) { return handles_[static_cast<std::size_t>(v)]; }
  Index& buffer_of(const TraceValue& value) { return buffers_[static_cast<std::size_t>(value.storage)]; }

  static Tensor make(const TraceValue& value, Ref<Storage> storage) {
    Ref<TensorImpl> impl = make_impl();
    impl->info = {value.shape, value.dtype, value.device};
    impl->storage = std::move(storage);
    impl->requires_grad = value.leaf;
    Tensor made(std::move(impl));
    if (value.has_gradient) set_gradient(*made.impl(), empty(made.info(), memory::Tag::gradient).impl());
    return made;
  }

  // A leaf that the step reads nowhere and asks a gradient for.
  static Tensor unused_leaf(Device device) {
    const Tensor leaf = Tensor::empty({0}, {.device = device});  // no bytes: the real one was there before
    leaf.impl()->requires_grad = true;
    return leaf;
  }

  // The handle that user code held for a value.
  const Tensor& read(Index v) {
    if (handle(v).defined()) return handle(v);
    const TraceValue& value = trace_.values[static_cast<std::size_t>(v)];
    if (const Index buffer = buffer_of(value); buffer >= 0 && handle(buffer).defined()) {
      handle(v) = make(value, handle(buffer).impl()->storage);
      return handle(v);
    }
    for (Index u = 0; u < trace_.tape_values; ++u)
      if (u != v && trace_.values[static_cast<std::size_t>(u)].storage == value.storage &&
          handle(u).defined() && handle(u).shape() == value.shape) {
        handle(v) = handle(u);
        if (value.leaf) handle(v).set_requires_grad(true);
        return handle(v);
      }
    throw InternalError(fmt::format("the trace reads value {}, of which no handle is left", v));
  }

  void run_node(const TraceNode& node) {
    if (!node.instance)
      throw UserError(
          fmt::format("simulate: this trace was loaded from a file and holds no ops ({}): make it with "
                      "checkpoint::trace",
                      node.op));
    std::vector<Tensor> inputs;
    inputs.reserve(node.inputs.size());
    for (const Index v : node.inputs) inputs.push_back(read(v));
    std::vector<Tensor> outputs = record(node.instance, std::move(inputs));
    for (std::size_t j = 0; j < outputs.size(); ++j) handle(node.outputs[j]) = std::move(outputs[j]);
  }

  // One that user code held only for the walk is made for it again.
  Tensor seed_of(Index v) {
    const TraceValue& value = trace_.values[static_cast<std::size_t>(v)];
    const Index buffer = buffer_of(value);
    const bool gone = buffer >= 0 && !handle(v).defined() && !handle(buffer).defined();
    return gone ? make(value, allocate(value.bytes, value.device)) : read(v);
  }

  void run_backward(Tape& tape, const TraceBackward& call) {
    Tensor seed = call.seed >= 0 ? seed_of(call.seed) : Tensor();
    const Tensor loss = read(call.loss);
    if (call.accumulate) {
      tape.backward(loss, {.seed = std::move(seed),
                           .retain_graph = call.retain_graph,
                           .create_graph = call.create_graph,
                           .commit = call.eager_commit ? Commit::eager : Commit::at_end});
      return;
    }
    std::vector<Tensor> wanted;
    for (const Index v : call.wanted) wanted.push_back(v >= 0 ? read(v) : unused_leaf(trace_.device));
    std::vector<Tensor> results = tape.gradients(loss, wanted,
                                                 {.seed = std::move(seed),
                                                  .retain_graph = call.retain_graph,
                                                  .create_graph = call.create_graph,
                                                  .allow_unused = call.allow_unused});
    for (std::size_t k = 0; k < std::min(results.size(), call.results.size()); ++k)
      if (call.results[k] >= 0) handle(call.results[k]) = std::move(results[k]);
  }

  const Trace& trace_;
  std::vector<Tensor> handles_;
  std::vector<Index> buffers_;  // of each storage, the value that is the buffer itself; -1: none
};

}  // namespace

Simulation simulate(const Trace& trace, const Plan& plan) {
  validate(plan, trace);  // so the tape need not compare node by node
  Simulation result;
  const DryRun dry;
  Driver driver(trace);
  Figures figures(trace, result);
  memory::reset_peak(trace.device);
  const std::size_t before = memory::live(trace.device),
                    before_without_data = memory::peak_without_data(trace.device);
  Tape tape;
  driver.run(tape, plan, figures);
  result.peak_bytes = trace.base_bytes + (memory::peak_without_data(trace.device) - before_without_data);
  for (std::size_t& live : result.live) live = trace.base_bytes + live - before;
  result.replays = tape.replays();
  result.recomputed_flops = tape.replayed_flops();
  return result;
}

std::vector<Moment> moments(const Trace& trace, const Plan& plan) {
  validate(plan, trace);  // so the tape need not compare node by node
  std::vector<Moment> result;
  const DryRun dry;
  Driver driver(trace);
  Moments listener(trace.device, result);
  memory::reset_peak(trace.device);
  const std::size_t before = memory::peak_without_data(trace.device);
  Tape tape;
  driver.run(tape, plan, listener);
  for (Moment& moment : result) {
    moment.highest = trace.base_bytes + moment.highest - before;
    moment.after = trace.base_bytes + moment.after - before;
  }
  return result;
}

}  // namespace reprise::checkpoint
