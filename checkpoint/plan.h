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
  // Highest live bytes on the step's device, everything counted but the tag data; 0: none.
  std::size_t budget = 0;
  // The same limit, but above what lives when the step begins: the bytes that the step itself may add. Instead of `budget`
  // (UserError with both); 0: none.
  std::size_t activations = 0;
  // Plan for a step that begins with a gradient in every leaf, as the later steps of an accumulation do. Without it the
  // gradients are as they are when the plan is made.
  bool gradients = false;
  Planner planner = {};  // default: auto_planner (planners.h)
};

// UserError when the plan needs more than the budget: says how much. A step with several backwards has a forward pass
// before each. sqrt_planner, and so the default, cuts all of them. The other planners cut the first one only. Regions in
// code and OnlineEviction serve such steps too.
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
