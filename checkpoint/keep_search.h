#pragma once
// What to keep, improved step by step: the engine says where the peak is, and what is let go of or kept there follows.
#include <cstddef>

#include "reprise/checkpoint/candidates.h"

namespace reprise::checkpoint {

// Considers up to `rounds` plans in which no value is made twice again (kept_buffers.h). Moments at which a plan is over the budget
// get a price for a byte, and a minimum cut says what is cheapest to keep at these prices; from there, from keeping everything and
// from the best plan so far it lets go of what costs the least for a byte of the peak until it fits, keeps more in exchange for what
// costs less, and goes on from the best, changed here and there; where replays are dear and the graph is small, simulated annealing
// of twice as many plans comes first. Where nothing fits it lowers the peak.
void search_keep_sets(const Trace& trace, Candidates& candidates, std::size_t budget, int rounds);

}  // namespace reprise::checkpoint
