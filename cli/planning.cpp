#include "reprise/cli/planning.h"

#include "reprise/checkpoint/planners.h"

namespace reprise::cli {

Checkpointing chosen_checkpointing(const PlanRequest& request, nn::CheckpointSetting setting,
                                   const checkpoint::Step& step) {
  if (request.file.empty() && !request.budget) return {.setting = setting};
  if (!request.file.empty() && request.budget)
    throw UsageError("--plan and --budget: a plan from a file was made for a budget of its own");
  if (setting.kind != nn::CheckpointSetting::Kind::none)
    throw UsageError("--checkpoint beside --plan or --budget: a plan wins over regions in the model's code");
  if (!request.file.empty()) return {.plan = Plan::load(request.file)};
  if (request.planner == "dtr") return {.online_budget = request.budget};
  return {.plan = checkpoint::plan(
              step, {.budget = *request.budget, .planner = checkpoint::planner_by_name(request.planner)})};
}

}  // namespace reprise::cli
