#include <algorithm>
#include <cmath>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/sequential.h"

namespace reprise::checkpoint {
namespace {

std::vector<PlanRegion> segments(const std::vector<Crossing>& crossing, std::int64_t count) {
  const auto nodes = static_cast<std::int64_t>(crossing.size()) - 1;
  std::vector<std::int64_t> edges = segment_edges(nodes, count);
  // Move each inner edge, by less than half a segment, to the nearest place where the fewest bytes cross.
  const std::int64_t reach = nodes / (2 * count);
  for (std::size_t k = 1; k + 1 < edges.size(); ++k) {
    std::int64_t best = edges[k];
    for (std::int64_t distance = 1; distance <= reach; ++distance)
      for (const std::int64_t place : {edges[k] - distance, edges[k] + distance})
        if (place > edges[k - 1] && place < nodes &&
            crossing[static_cast<std::size_t>(place)].bytes < crossing[static_cast<std::size_t>(best)].bytes)
          best = place;
    edges[k] = best;
  }
  std::vector<PlanRegion> regions;
  for (std::size_t k = 0; k + 2 < edges.size(); ++k)
    if (edges[k] < edges[k + 1])
      regions.push_back({static_cast<std::int32_t>(edges[k]), static_cast<std::int32_t>(edges[k + 1])});
  return regions;
}

}  // namespace

Plan sqrt_planner(const Trace& trace, const PlanOptions& options) {
  const std::vector<Crossing> crossing = crossings(trace);
  const std::int64_t nodes = std::ssize(crossing) - 1;
  const auto root = std::max<std::int64_t>(1, std::llround(std::sqrt(static_cast<double>(nodes))));
  if (options.budget == 0) return plan_of(trace, segments(crossing, root));
  Candidates candidates(trace, options.budget);
  if (candidates.fits(candidates.consider({}))) return std::move(candidates).take();
  // Each number up to 16, then in steps of an eighth: what lies between hardly differs.
  for (std::int64_t count = 2; count <= std::min(nodes, 4 * root);
       count += std::max<std::int64_t>(1, count / 8))
    candidates.consider(segments(crossing, count));
  return std::move(candidates).take();
}

}  // namespace reprise::checkpoint
