#pragma once
// How far a plan is from the best there is: lower bounds on what a step must run again within a budget, from mixed-integer
// programs over when each node runs again and what is held between two backwards (Jain et al., "Checkmate: Breaking the memory
// wall with optimal tensor rematerialization", 2020). For graphs of up to a few hundred nodes; needs CBC.
#include <cstddef>

#include "reprise/checkpoint/kept_buffers.h"

namespace reprise::checkpoint {

struct OptimumOptions {
  std::size_t budget;
  double seconds = 60;  // that the solver may take
  // As plans whose regions do not nest have it: a node runs again once at most, and what has been made again stays until the last
  // backward that reads it.
  bool flat = false;
};

struct Optimum {
  bool proven;  // solved, not stopped
  double
      seconds;  // lost to replays by the best schedule found (TraceNode::seconds); infinite where none was found
  double bound;  // no schedule loses less; infinite where none fits the budget
  KeptBuffers
      as_plan;  // the plan closest to the best schedule found, for the engine to judge; empty where none was found
};

// The forward pass runs once and in order, as the step's code does it; before each backward any nodes run again, in order, and of
// what is there any buffers are held. Memory is counted as the engine has it, but what regions hold longer than it is of use: so
// every plan is such a schedule, and none loses less time than `bound` (with `flat`: no plan that makes each value again once at
// most, for which as_plan mostly is the plan that reaches it).
Optimum optimum(const Trace& trace, const OptimumOptions& options);

}  // namespace reprise::checkpoint
