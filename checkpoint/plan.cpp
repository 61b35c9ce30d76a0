#include "reprise/checkpoint/plan.h"

#include <fmt/format.h>

#include <algorithm>

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

Plan plan(const Trace& trace, PlanOptions options) {
  Plan made = options.planner ? options.planner(trace, options) : auto_planner(trace, options);
  const Simulation simulation = simulate(trace, made);
  made.set_prediction(simulation.peak_bytes, simulation.replays);
  if (options.budget != 0 && simulation.peak_bytes > options.budget)
    throw UserError(fmt::format(
        "plan: the step needs {} bytes under the planner's best plan, over the budget of {}: raise "
        "the budget, make the batch smaller, or use another planner",
        simulation.peak_bytes, options.budget));
  return made;
}

Plan plan(const Step& step, PlanOptions options) { return plan(trace(step), std::move(options)); }

}  // namespace reprise::checkpoint
