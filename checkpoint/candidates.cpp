#include "reprise/checkpoint/candidates.h"

#include <utility>

#include "reprise/checkpoint/plan.h"

namespace reprise::checkpoint {

bool cheaper(const Simulation& first, const Simulation& second) {
  if (first.replayed_seconds != second.replayed_seconds)
    return first.replayed_seconds < second.replayed_seconds;
  return first.peak_bytes < second.peak_bytes;
}

Plan plan_of(const Trace& trace, const std::vector<PlanRegion>& regions) {
  PlanBuilder builder(trace);
  for (const PlanRegion& region : regions) builder.region(region.first, region.last);
  return std::move(builder).finish();
}

Candidates::Candidates(const Trace& trace, std::size_t budget)
    : trace_(trace), budget_(budget), candidate_(plan_of(trace, {})) {}

const Simulation& Candidates::consider(std::vector<PlanRegion> regions, std::vector<PlanDecision> decisions) {
  candidate_.regions = std::move(regions);
  candidate_.decisions = std::move(decisions);
  candidate_.sort();
  candidate_.validate();
  simulation_ = simulate(trace_, candidate_);
  const bool fits_now = fits(simulation_);
  const bool better =
      considered_++ == 0 ||
      (fits_now ? !fits(best_simulation_) || cheaper(simulation_, best_simulation_)
                : !fits(best_simulation_) && simulation_.peak_bytes < best_simulation_.peak_bytes);
  if (better) {
    best_simulation_ = simulation_;
    best_.regions = candidate_.regions;
    best_.decisions = candidate_.decisions;
  }
  return simulation_;
}

Plan Candidates::take() && {
  candidate_.regions = std::move(best_.regions);
  candidate_.decisions = std::move(best_.decisions);
  candidate_.set_prediction(best_simulation_.peak_bytes, best_simulation_.replays);
  return std::move(candidate_);
}

}  // namespace reprise::checkpoint
