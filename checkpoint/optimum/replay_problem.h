#pragma once
// A step as a problem of what to keep and what to run again: the buffers of its forward pass, and the bytes that are there
// whatever is decided about them, workspace included, at each of its moments, as the engine has them.
#include <cstdint>
#include <vector>

#include "reprise/autograd/plan.h"
#include "reprise/checkpoint/forward_buffers.h"

namespace reprise::checkpoint {

// A node's backward: live when it begins and, at the highest, while it runs, less the buffers.
struct ReplayBackward {
  std::int32_t node;
  std::int64_t before = 0, highest = 0;
};

struct ReplayProblem {
  ForwardBuffers forward;
  std::vector<std::int64_t> forward_highest;  // live while a node runs in the forward pass, less the buffers
  std::vector<ReplayBackward> backwards;      // in the order of the walk
};

// Drives the engine twice. A buffer that user code holds on to counts among what is there. UserError for a step that is not one
// forward pass and one backward.
ReplayProblem replay_problem(const Trace& trace);

}  // namespace reprise::checkpoint
