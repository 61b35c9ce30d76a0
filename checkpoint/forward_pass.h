#pragma once
// What planners ask of a trace: its forward pass as a line of nodes, and what lies across each point of it.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reprise/autograd/plan.h"

namespace reprise::checkpoint {

// Nodes before the first backward: the first forward pass, which is all of most steps.
std::int32_t forward_nodes(const Trace& trace);

// Nodes [first, last) that the step itself records without a backward between them. A GAN's step has several passes. No
// region crosses from one into the next.
struct Pass {
  std::int32_t first, last;
};
std::vector<Pass> forward_passes(const Trace& trace);

// Live when the first node runs: what was there before the step, and what the step's code made before that, a model for one.
std::size_t bytes_before_first_node(const Trace& trace);

// What a boundary before node i would hold: buffers made before it and read at or after it.
struct Crossing {
  std::size_t bytes = 0;
  std::int32_t tracked = 0;  // how many of them carry a gradient
  std::int32_t saved = 0;    // and how many of those some backward reads anyway
};
// One for each i from 0 to the number of forward nodes.
std::vector<Crossing> crossings(const Trace& trace);
// The same for the first `nodes` nodes of the tape.
std::vector<Crossing> crossings(const Trace& trace, std::int32_t nodes);

// The forward pass as a chain: numbers of nodes from 0 to forward_nodes(trace), a stage between two of them. It is cut where
// one buffer alone that carries a gradient crosses, and some backward saves that one. Where no place inside is like
// that, every node is a stage. With more than `most` stages it is cut only where the fewest bytes cross, in as many passages.
std::vector<std::int32_t> chain_edges(const Trace& trace, std::int64_t most = INT32_MAX);

}  // namespace reprise::checkpoint
