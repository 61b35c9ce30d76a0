#pragma once
// Which values of the forward pass are cheaper to keep than to make again, at a price for a byte.
#include <cstdint>
#include <vector>

#include "reprise/checkpoint/forward_buffers.h"

namespace reprise::checkpoint {

struct KeepSet {
  std::vector<PlanDecision> kept;  // sorted by node, then output
  std::vector<bool> runs_again;    // per node of the forward pass
};

// The cheapest way, at `seconds_per_byte`, to have everything that backward reads if all of the forward pass were one region:
// each value is kept at its bytes' price, or its node runs again at its seconds, for which its inputs must be had in one way
// or the other. Exact: a minimum cut, as in PyTorch's
// min_cut_rematerialization_partition, here with a price for running again.
KeepSet cheapest_keep_set(const Trace& trace, double seconds_per_byte);

// The same with a price for each buffer, in seconds; says for each whether it is kept.
std::vector<bool> cheapest_kept(const Trace& trace, const ForwardBuffers& forward,
                                const std::vector<double>& prices);

}  // namespace reprise::checkpoint
