#pragma once
// --plan FILE, --budget SIZE and --planner NAME: how the steps of a run keep within their memory.
#include "reprise/cli/options.h"
#include "reprise/cli/training_step.h"

namespace reprise::cli {

// The plan of the file, or one for the budget, for which the step is run dry, or eviction as it runs (planner dtr); else the
// setting. UsageError for both a plan and a budget, or one of them beside a setting other than none; UserError where no
// plan of the planner fits.
Checkpointing chosen_checkpointing(const PlanRequest& request, nn::CheckpointSetting setting,
                                   const checkpoint::Step& step);

}  // namespace reprise::cli
