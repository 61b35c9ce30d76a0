#include "reprise/checkpoint/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/simulate.h"
#include "reprise/core/error.h"

namespace reprise::checkpoint {

PlanBuilder::PlanBuilder(const Trace& trace) : trace_(trace) {
  plan_.nodes.reserve(trace.nodes.size());
  for (const TraceNode& node : trace.nodes)
    plan_.nodes.push_back(
        {node.op, node.attributes,
         node.outputs.empty() ? Shape() : trace.values[static_cast<std::size_t>(node.outputs[0])].shape});
}

void PlanBuilder::region(std::int32_t first, std::int32_t last) { plan_.regions.push_back({first, last}); }

void PlanBuilder::decide(std::int32_t value, Decision decision) {
  const bool known = value >= 0 && static_cast<std::size_t>(value) < trace_.values.size();
  const std::int32_t maker = known ? trace_.values[static_cast<std::size_t>(value)].maker : -1;
  if (maker < 0)
    throw UserError(fmt::format("PlanBuilder: value {} is not made by a node of the tape", value));
  const std::vector<std::int32_t>& outputs = trace_.nodes[static_cast<std::size_t>(maker)].outputs;
  const auto output = std::find(outputs.begin(), outputs.end(), value) - outputs.begin();
  std::erase_if(plan_.decisions,
                [&](const PlanDecision& d) { return d.node == maker && d.output == output; });
  plan_.decisions.push_back({maker, static_cast<std::int32_t>(output), decision});
}

Plan PlanBuilder::finish() && {
  plan_.sort();
  plan_.validate();
  return std::move(plan_);
}

namespace {

// The budget in bytes that `activations` asks for, above what lives when the step begins.
std::size_t budget_for(const Trace& trace, const PlanOptions& options) {
  if (options.activations == 0) return options.budget;
  if (options.budget != 0)
    throw UserError(
        fmt::format("plan: a budget of {} bytes and one of {} above what lives: give one of the two",
                    options.budget, options.activations));
  return options.activations > SIZE_MAX - trace.base_bytes ? SIZE_MAX
                                                           : trace.base_bytes + options.activations;
}

std::size_t gradient_bytes(const TraceValue& leaf) {
  return static_cast<std::size_t>(leaf.shape.numel()) * size_of(gradient_dtype(leaf.dtype));
}

// The leaves that hold a gradient when the step begins.
std::size_t gradients_at_start(const Trace& trace) {
  std::size_t bytes = 0;
  for (const TraceValue& value : trace.values)
    if (value.leaf && value.has_gradient) bytes += gradient_bytes(value);
  return bytes;
}

// The same step, begun with a gradient in every leaf.
Trace with_gradients(Trace trace) {
  for (TraceValue& value : trace.values) {
    if (!value.leaf || value.has_gradient) continue;
    value.has_gradient = true;
    if (value.device == trace.device) trace.base_bytes += gradient_bytes(value);
  }
  return trace;
}

// Nodes that the step itself records after its first backward.
std::int64_t nodes_after_first_backward(const Trace& trace) {
  std::int64_t nodes = 0;
  bool after = false;
  for (const TraceEvent& event : trace.events) {
    after |= event.kind == TraceEvent::Kind::backward;
    nodes += after && event.kind == TraceEvent::Kind::node;
  }
  return nodes;
}

Plan plan_checked(const Trace& trace, PlanOptions options) {
  options.budget = budget_for(trace, options);
  Plan made = options.planner ? options.planner(trace, options) : auto_planner(trace, options);
  made.validate();
  const Simulation simulation = simulate(trace, made);
  made.set_prediction(simulation.peak_bytes, simulation.replays);
  made.budget = options.budget;
  made.gradient_bytes = gradients_at_start(trace);
  if (options.budget == 0 || simulation.peak_bytes <= options.budget) return made;
  std::string message = fmt::format(
      "plan: the step needs {} bytes under the planner's best plan, over the budget of {}: raise "
      "the budget, make the batch smaller, or use another planner",
      simulation.peak_bytes, options.budget);
  if (const std::int64_t nodes = nodes_after_first_backward(trace); nodes > 0)
    message += fmt::format(
        "; of its {} nodes {} come after the first backward, and no plan reaches them: use regions in code "
        "or "
        "OnlineEviction for such a step",
        trace.nodes.size(), nodes);
  throw UserError(message);
}

}  // namespace

Plan plan(const Trace& trace, PlanOptions options) {
  trace.validate();
  const bool gradients = std::exchange(options.gradients, false);
  return gradients ? plan_checked(with_gradients(trace), std::move(options))
                   : plan_checked(trace, std::move(options));
}

Plan plan(const Step& step, PlanOptions options) { return plan(trace(step), std::move(options)); }

}  // namespace reprise::checkpoint
