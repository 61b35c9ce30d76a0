#pragma once
// Plans: which passages of a step are regions and what is kept in them, chosen for a budget in bytes before it runs.
//
// A planner is a function from a trace and a budget to a plan; it decides, the engine carries out. `plan` runs it,
// judges the result by driving the engine from the trace (simulate.h), and refuses a plan that does not fit.
#include <cstddef>
#include <cstdint>
#include <functional>

#include "reprise/autograd/plan.h"
#include "reprise/checkpoint/trace.h"

namespace reprise::checkpoint {

struct PlanOptions;
using Planner = std::function<Plan(const Trace&, const PlanOptions&)>;

struct PlanOptions {
  std::size_t budget =
      0;  // highest live bytes on the step's device, everything counted but the tag data; 0: none
  Planner planner = {};  // default: auto_planner (planners.h)
};

// UserError when the plan needs more than the budget: says how much.
Plan plan(const Trace& trace, PlanOptions options = {});
Plan plan(const Step& step, PlanOptions options = {});

// Collects a plan for a trace. Regions may be given in any order; finish() puts them in preorder and throws UserError
// where two overlap without nesting.
class PlanBuilder {
 public:
  explicit PlanBuilder(const Trace& trace);
  void region(std::int32_t first, std::int32_t last);  // nodes [first, last)
  void decide(std::int32_t value, Decision decision);  // a value that a node of the tape makes
  Plan finish() &&;

 private:
  const Trace& trace_;
  Plan plan_;
};

}  // namespace reprise::checkpoint
