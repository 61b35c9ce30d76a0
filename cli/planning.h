#pragma once
// --plan FILE and --budget SIZE: a plan for the steps of a run.
#include <optional>

#include "reprise/checkpoint/trace.h"
#include "reprise/cli/options.h"

namespace reprise::cli {

// The plan of the file, or one for the budget, for which the step is run dry; nothing where neither is asked for. UsageError for
// both, or beside a --checkpoint other than none; UserError where no plan of the planner fits.
std::optional<Plan> chosen_plan(const PlanRequest& request, const std::string& checkpoint,
                                const checkpoint::Step& step);

}  // namespace reprise::cli
