#include <algorithm>
#include <cmath>
#include <span>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/sequential.h"

namespace reprise::checkpoint {
namespace {

std::int64_t root_of(std::int64_t nodes) {
  return std::max<std::int64_t>(1, std::llround(std::sqrt(static_cast<double>(nodes))));
}

// `crossing` is that of the pass's own places.
void add_segments(std::vector<PlanRegion>& regions, const Pass& pass, std::span<const Crossing> crossing,
                  std::int64_t count) {
  const std::int64_t nodes = std::ssize(crossing) - 1;
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
  for (std::size_t k = 0; k + 2 < edges.size(); ++k)
    if (edges[k] < edges[k + 1])
      regions.push_back({pass.first + static_cast<std::int32_t>(edges[k]),
                         pass.first + static_cast<std::int32_t>(edges[k + 1])});
}

// The forward passes of a step, all cut alike.
class Passes {
 public:
  explicit Passes(const Trace& trace)
      : passes_(forward_passes(trace)),
        crossing_(crossings(trace, passes_.empty() ? 0 : passes_.back().last)) {
    for (const Pass& pass : passes_) longest_ = std::max<std::int64_t>(longest_, pass.last - pass.first);
  }
  std::int64_t longest() const { return longest_; }

  // Segments about as long as those of the longest pass, which gets `count`.
  std::vector<PlanRegion> segments(std::int64_t count) const {
    std::vector<PlanRegion> regions;
    for (const Pass& pass : passes_) {
      const std::int64_t nodes = pass.last - pass.first;
      add_segments(regions, pass,
                   std::span(crossing_).subspan(static_cast<std::size_t>(pass.first),
                                                static_cast<std::size_t>(nodes) + 1),
                   std::max<std::int64_t>(1, (count * nodes + longest_ / 2) / longest_));
    }
    return regions;
  }

 private:
  std::vector<Pass> passes_;
  std::vector<Crossing> crossing_;
  std::int64_t longest_ = 0;
};

}  // namespace

Plan sqrt_planner(const Trace& trace, const PlanOptions& options) {
  const Passes passes(trace);
  const std::int64_t root = root_of(passes.longest());
  if (options.budget == 0) return plan_of(trace, passes.segments(root));
  Candidates candidates(trace, options.budget);
  if (candidates.fits(candidates.consider({}))) return std::move(candidates).take();
  // Each number up to 16, then in steps of an eighth: what lies between hardly differs.
  for (std::int64_t count = 2; count <= std::min(passes.longest(), 4 * root);
       count += std::max<std::int64_t>(1, count / 8))
    candidates.consider(passes.segments(count));
  return std::move(candidates).take();
}

}  // namespace reprise::checkpoint
