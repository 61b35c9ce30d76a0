#include "reprise/cli/planning.h"

#include "reprise/checkpoint/planners.h"

namespace reprise::cli {

std::optional<Plan> chosen_plan(const PlanRequest& request, const std::string& checkpoint,
                                const checkpoint::Step& step) {
  if (request.file.empty() && !request.budget) return std::nullopt;
  if (!request.file.empty() && request.budget)
    throw UsageError("--plan and --budget: a plan from a file was made for a budget of its own");
  if (checkpoint != "none")
    throw UsageError("--checkpoint beside --plan or --budget: a plan wins over regions in the model's code");
  if (!request.file.empty()) return Plan::load(request.file);
  return checkpoint::plan(
      step, {.budget = *request.budget, .planner = checkpoint::planner_by_name(request.planner)});
}

}  // namespace reprise::cli
