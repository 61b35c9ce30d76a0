#pragma once
// Plans in which no value is made twice again, as sets of buffers.
#include <cstdint>
#include <vector>

#include "reprise/checkpoint/forward_buffers.h"

namespace reprise::checkpoint {

// A buffer that is not kept is made again for those who read it before the next cut; for those after, it stays until they are done.
struct KeptBuffers {
  std::vector<bool> kept;  // per buffer
  std::vector<bool> cut;   // per node of the forward pass: no region holds both this node and the one before
  friend bool operator==(const KeptBuffers&, const KeptBuffers&) = default;
};

// What a plan keeps; without regions, all that backward reads.
KeptBuffers kept_buffers(const ForwardBuffers& forward, const Plan& plan);

// What that comes to.
struct Demand {
  std::vector<bool> runs;              // nodes that run again
  std::vector<bool> wanted;            // buffers that somebody reads after the forward pass
  std::vector<std::int32_t> next_cut;  // after each node; all nodes: none
  // Of each buffer, the last node before the cut whose backward, or whose run for one, reads it (-1: none), and the first after the
  // cut, for which it stays (all nodes: none).
  std::vector<std::int32_t> last_use, first_held;
};
Demand demand(const ForwardBuffers& forward, const KeptBuffers& buffers);

// Regions are the smallest passages that hold, of each buffer that is made again, its maker and its last use. Each other node
// whose backward reads something is one by itself, for in a region a backward may let go of what it has read early.
struct KeepPlan {
  std::vector<PlanRegion> regions;
  std::vector<PlanDecision> decisions;  // sorted
};
KeepPlan keep_plan(const ForwardBuffers& forward, const KeptBuffers& buffers, const Demand& demand);

}  // namespace reprise::checkpoint
