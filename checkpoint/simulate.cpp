#include "reprise/checkpoint/simulate.h"

#include <fmt/format.h>

#include <map>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

struct LiveAfterEachNode final : Observer {
  Device device;
  std::vector<std::size_t> live;
  void on(Event event, NodeId, const Tensor*, const Tensor*) override {
    if (event == Event::forward || event == Event::replay || event == Event::backward)
      live.push_back(memory::live(device));
  }
};

// Stands in for the user's code: makes, hands over and lets go of handles as the trace says.
class Driver {
 public:
  explicit Driver(const Trace& trace) : trace_(trace), handles_(trace.values.size()) {
    for (std::size_t b = static_cast<std::size_t>(trace.tape_values); b < trace.values.size(); ++b)
      buffers_[trace.values[b].storage] = static_cast<Index>(b);
    // What was there before the step.
    std::map<Index, Index> first_with;
    for (Index v = 0; v < trace.tape_values; ++v) {
      const TraceValue& value = trace.values[static_cast<std::size_t>(v)];
      if (value.maker >= 0) {
        first_with.try_emplace(value.storage, v);
        continue;
      }
      if (buffers_.contains(value.storage)) continue;
      const auto [shared, is_first] = first_with.try_emplace(value.storage, v);
      if (is_first)
        handles_[static_cast<std::size_t>(v)] = make(value, allocate(value.bytes, value.device));
      else if (handle(shared->second).defined())
        handles_[static_cast<std::size_t>(v)] = make(value, handle(shared->second).impl()->storage);
      // else: made by a node of the tape, detached and made a leaf; it is found when it is read
    }
  }

  void run(Tape& tape) {
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

  static Tensor make(const TraceValue& value, Ref<Storage> storage) {
    Ref<TensorImpl> impl = make_impl();
    impl->info = {value.shape, value.dtype, value.device};
    impl->storage = std::move(storage);
    impl->requires_grad = value.leaf;
    Tensor made(std::move(impl));
    if (value.has_gradient) set_gradient(*made.impl(), empty(made.info(), memory::Tag::gradient).impl());
    return made;
  }

  // The handle that user code held for a value.
  const Tensor& read(Index v) {
    if (handle(v).defined()) return handle(v);
    const TraceValue& value = trace_.values[static_cast<std::size_t>(v)];
    const auto buffer = buffers_.find(value.storage);
    if (buffer != buffers_.end() && handle(buffer->second).defined()) {
      handle(v) = make(value, handle(buffer->second).impl()->storage);
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

  void run_backward(Tape& tape, const TraceBackward& call) {
    const Tensor seed = call.seed >= 0 ? read(call.seed) : Tensor();
    const Tensor loss = read(call.loss);
    if (call.accumulate) {
      tape.backward(loss, {.seed = seed,
                           .retain_graph = call.retain_graph,
                           .create_graph = call.create_graph,
                           .commit = call.eager_commit ? Commit::eager : Commit::at_end});
      return;
    }
    std::vector<Tensor> wanted;
    for (const Index v : call.wanted) wanted.push_back(read(v));
    std::vector<Tensor> results = tape.gradients(loss, wanted,
                                                 {.seed = seed,
                                                  .retain_graph = call.retain_graph,
                                                  .create_graph = call.create_graph,
                                                  .allow_unused = call.allow_unused});
    for (std::size_t k = 0; k < results.size(); ++k)
      if (call.results[k] >= 0) handle(call.results[k]) = std::move(results[k]);
  }

  const Trace& trace_;
  std::vector<Tensor> handles_;
  std::map<Index, Index> buffers_;  // storage -> the value that is the buffer itself
};

}  // namespace

Simulation simulate(const Trace& trace, const Plan& plan) {
  const DryRun dry;
  Driver driver(trace);
  LiveAfterEachNode observer;
  observer.device = trace.device;
  memory::reset_peak(trace.device);
  const std::size_t before = memory::live(trace.device),
                    before_without_data = memory::peak_without_data(trace.device);
  Tape tape({.plan = plan});
  tape.set_observer(&observer);
  driver.run(tape);

  Simulation result;
  result.peak_bytes = trace.base_bytes + (memory::peak_without_data(trace.device) - before_without_data);
  result.replays = tape.replays();
  result.recomputed_flops = tape.replayed_flops();
  for (const std::size_t live : observer.live) result.live.push_back(trace.base_bytes + live - before);
  return result;
}

}  // namespace reprise::checkpoint
