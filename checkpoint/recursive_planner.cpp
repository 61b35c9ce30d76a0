#include <algorithm>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/sequential.h"

namespace reprise::checkpoint {
namespace {

// Every passage of more than one stage is cut into `parts`, at most `depth` times over.
std::vector<PlanRegion> segments_of_segments(const std::vector<std::int32_t>& edges, std::int64_t parts,
                                             std::int64_t depth) {
  struct Passage {
    std::int64_t first, last, depth;  // stages
  };
  std::vector<PlanRegion> regions;
  std::vector<Passage> open{{0, std::ssize(edges) - 1, depth}};
  while (!open.empty()) {
    const Passage passage = open.back();
    open.pop_back();
    if (passage.depth == 0 || passage.last - passage.first < 2) continue;
    const std::vector<std::int64_t> cuts = segment_edges(passage.last - passage.first, parts);
    for (std::size_t k = 0; k + 1 < cuts.size(); ++k) {
      const Passage part{passage.first + cuts[k], passage.first + cuts[k + 1], passage.depth - 1};
      const bool last = k + 2 == cuts.size();
      if (!last && part.last - part.first > 1)
        regions.push_back(
            {edges[static_cast<std::size_t>(part.first)], edges[static_cast<std::size_t>(part.last)]});
      open.push_back(part);
    }
  }
  return regions;
}

}  // namespace

Plan recursive_planner(const Trace& trace, const PlanOptions& options) {
  const std::vector<std::int32_t> edges = chain_edges(trace);
  const std::int64_t stages = std::ssize(edges) - 1;
  if (options.budget == 0) return plan_of(trace, segments_of_segments(edges, 2, stages));
  Candidates candidates(trace, options.budget);
  if (candidates.fits(candidates.consider({}))) return std::move(candidates).take();
  for (std::int64_t parts = 2; parts <= std::min<std::int64_t>(stages, 12); ++parts) {
    std::int64_t length = stages;
    for (std::int64_t depth = 1; length > 1; ++depth, length = (length + parts - 1) / parts)
      candidates.consider(segments_of_segments(edges, parts, depth));
  }
  return std::move(candidates).take();
}

}  // namespace reprise::checkpoint
