#pragma once
// A step's forward pass as a chain of stages with what each costs, measured by driving the engine: what rotor's dynamic
// program is about (rotor_planner.cpp).
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reprise/autograd/plan.h"

namespace reprise::checkpoint {

// Bytes are above what lives when the first node runs. "Output" is what crosses the stage's end, in a chain one buffer.
struct ChainStage {
  std::int32_t first, last;   // nodes [first, last)
  double seconds_output = 0;  // to make the output from the stage's input
  double seconds_saved = 0;   // to make what its backward reads
  double seconds_both = 0;
  std::int64_t output = 0;           // bytes
  bool saves_output = false;         // its own backward reads it, not only what comes after
  std::int64_t saved = 0;            // bytes made in it that its backward reads, the output not counted
  std::int64_t forward_alone = 0;    // highest while it runs and keeps nothing, above what was there before
  std::int64_t forward_keeping = 0;  // highest while it runs and keeps `saved`
  std::int64_t backward =
      0;  // highest during its backward, above the outputs and `saved` of the stages before
  std::int64_t gradients_after =
      0;  // live when all stages after it are done with, beside what stages up to it hold
};

// Stages between these numbers of nodes (chain_edges, or fewer of them). Drives the engine twice: keeping everything, and
// with each stage a region.
std::vector<ChainStage> chain_costs(const Trace& trace, const std::vector<std::int32_t>& edges);

}  // namespace reprise::checkpoint
