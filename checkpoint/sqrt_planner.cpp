#include <algorithm>
#include <cmath>
#include <limits>

#include "reprise/checkpoint/plan.h"
#include "reprise/checkpoint/sequential.h"
#include "reprise/checkpoint/simulate.h"

namespace reprise::checkpoint {
namespace {

// Nodes before the first backward.
std::int32_t forward_nodes(const Trace& trace) {
  std::int32_t nodes = 0;
  for (const TraceEvent& event : trace.events) {
    if (event.kind == TraceEvent::Kind::backward) break;
    if (event.kind == TraceEvent::Kind::node) nodes = event.index + 1;
  }
  return nodes;
}

// crossing[i]: bytes of buffers made before node i and read at or after it. What a boundary at i would hold.
std::vector<std::size_t> crossing_bytes(const Trace& trace, std::int32_t nodes) {
  struct Life {
    std::int32_t made = -1, last_read = -1;
    std::size_t bytes = 0;
  };
  std::vector<Life> lives;
  for (std::int32_t n = 0; n < nodes; ++n) {
    const TraceNode& node = trace.nodes[static_cast<std::size_t>(n)];
    const auto life = [&](std::int32_t v) -> Life& {
      const auto storage = static_cast<std::size_t>(trace.values[static_cast<std::size_t>(v)].storage);
      if (lives.size() <= storage) lives.resize(storage + 1);
      return lives[storage];
    };
    for (const std::int32_t v : node.inputs) life(v).last_read = n;
    for (const std::int32_t v : node.outputs) {
      Life& made = life(v);
      if (made.made < 0 && made.last_read < 0) made.made = n;
      made.bytes = trace.values[static_cast<std::size_t>(v)].bytes;
    }
  }
  std::vector<std::int64_t> change(static_cast<std::size_t>(nodes) + 2, 0);
  for (const Life& life : lives) {
    if (life.made < 0 || life.last_read <= life.made) continue;
    change[static_cast<std::size_t>(life.made) + 1] += static_cast<std::int64_t>(life.bytes);
    change[static_cast<std::size_t>(life.last_read) + 1] -= static_cast<std::int64_t>(life.bytes);
  }
  std::vector<std::size_t> crossing(static_cast<std::size_t>(nodes) + 1);
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < crossing.size(); ++i) {
    bytes += change[i];
    crossing[i] = static_cast<std::size_t>(bytes);
  }
  return crossing;
}

Plan segments(const Trace& trace, const std::vector<std::size_t>& crossing, std::int64_t count) {
  const auto nodes = static_cast<std::int64_t>(crossing.size()) - 1;
  PlanBuilder builder(trace);
  std::vector<std::int64_t> edges = segment_edges(nodes, count);
  // Move each inner edge, by less than half a segment, to the nearest place where the fewest bytes cross.
  const std::int64_t reach = nodes / (2 * count);
  for (std::size_t k = 1; k + 1 < edges.size(); ++k) {
    std::int64_t best = edges[k];
    for (std::int64_t distance = 1; distance <= reach; ++distance)
      for (const std::int64_t place : {edges[k] - distance, edges[k] + distance})
        if (place > edges[k - 1] && place < nodes &&
            crossing[static_cast<std::size_t>(place)] < crossing[static_cast<std::size_t>(best)])
          best = place;
    edges[k] = best;
  }
  for (std::size_t k = 0; k + 2 < edges.size(); ++k)
    if (edges[k] < edges[k + 1])
      builder.region(static_cast<std::int32_t>(edges[k]), static_cast<std::int32_t>(edges[k + 1]));
  return std::move(builder).finish();
}

}  // namespace

Plan sqrt_planner(const Trace& trace, const PlanOptions& options) {
  const std::int32_t nodes = forward_nodes(trace);
  const std::vector<std::size_t> crossing = crossing_bytes(trace, nodes);
  const auto root = std::max<std::int64_t>(1, std::llround(std::sqrt(static_cast<double>(nodes))));
  if (options.budget == 0) return segments(trace, crossing, root);

  Plan best;
  std::size_t best_peak = std::numeric_limits<std::size_t>::max();
  std::int64_t best_replays = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t count = 1; count <= std::min<std::int64_t>(nodes, 4 * root); ++count) {
    Plan candidate = segments(trace, crossing, count);
    const Simulation simulation = simulate(trace, candidate);
    const bool fits = simulation.peak_bytes <= options.budget, best_fits = best_peak <= options.budget;
    const bool better = fits ? !best_fits || simulation.replays < best_replays
                             : !best_fits && simulation.peak_bytes < best_peak;
    if (!better) continue;
    best = std::move(candidate);
    best_peak = simulation.peak_bytes;
    best_replays = simulation.replays;
    if (fits && best_replays == 0) break;
  }
  return best;
}

}  // namespace reprise::checkpoint
