#pragma once
// The engine itself, driven from a trace in a dry run: what a plan will cost, exactly. There is no second simulator.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"

namespace reprise::checkpoint {

struct Simulation {
  std::size_t peak_bytes = 0;  // highest live bytes on the step's device, all tags but data
  std::int64_t replays = 0;    // nodes run again
  double recomputed_flops = 0;
  double replayed_seconds = 0;    // of the nodes run again, as TraceNode::seconds has them
  std::vector<std::size_t> live;  // after each node, forward, replayed or backward
  // When the peak was reached: while this node ran, forward or again, or its backward. Where it ran again, `peak_backward` is the
  // node whose backward asked for it; in the forward pass -1.
  std::int32_t peak_node = -1, peak_backward = -1;
};

// UserError when the plan was made for another step, when the trace was loaded from a file (it has no ops then), and
// inside a dry run or while a tape is recording.
Simulation simulate(const Trace& trace, const Plan& plan);

// The same step, moment by moment. `highest`: live bytes from the first allocation after the moment before to the node's end;
// `after`: when the next allocation begins, so that what the node alone needed is gone.
struct Moment {
  Event event;  // forward, replay or backward
  std::int32_t node;
  std::size_t highest, after;
};
std::vector<Moment> moments(const Trace& trace, const Plan& plan);

}  // namespace reprise::checkpoint
