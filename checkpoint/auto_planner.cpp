#include <utility>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/planners.h"

namespace reprise::checkpoint {

Plan auto_planner(const Trace& trace, const PlanOptions& options) {
  if (options.budget == 0) return sqrt_planner(trace, options);
  Candidates candidates(trace, options.budget);
  const auto consider = [&](Plan plan) {
    candidates.consider(std::move(plan.regions), std::move(plan.decisions));
  };
  for (Plan (*planner)(const Trace&, const PlanOptions&) : {sqrt_planner, graph_planner, rotor_planner})
    if (!candidates.keeps_all()) consider(planner(trace, options));
  // What the others do not reach is within reach of plans that make values again and again.
  if (!candidates.some_fits()) {
    consider(revolve_planner(trace, options));
    consider(recursive_planner(trace, options));
  }
  return std::move(candidates).take();
}

}  // namespace reprise::checkpoint
