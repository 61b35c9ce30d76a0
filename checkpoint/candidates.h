#pragma once
// The best of a planner's candidates under a budget. Each is judged by driving the engine (simulate.h).
#include <cstddef>
#include <vector>

#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/simulate.h"

namespace reprise::checkpoint {

// Among those that fit the budget, the one that loses the least time to replays; where none fits, the one with the
// lowest peak. 0 as budget: none.
class Candidates {
 public:
  Candidates(const Trace& trace, std::size_t budget);

  // Regions in any order, and decisions sorted by node, then output. Returns what it costs.
  const Simulation& consider(std::vector<PlanRegion> regions, std::vector<PlanDecision> decisions = {});
  bool fits(const Simulation& simulation) const { return budget_ == 0 || simulation.peak_bytes <= budget_; }
  bool some_fits() const { return considered_ > 0 && fits(best_simulation_); }
  bool keeps_all() const { return some_fits() && best_simulation_.replays == 0; }  // nothing is cheaper
  const Simulation& best() const { return best_simulation_; }
  const Plan& best_plan() const { return best_; }  // without its list of nodes
  Plan take() &&;                                  // with its prediction

 private:
  const Trace& trace_;
  std::size_t budget_;
  std::int64_t considered_ = 0;
  Plan candidate_;  // whose list of nodes all candidates share
  Simulation simulation_, best_simulation_;
  Plan best_;  // without its list of nodes
};

// A plan that nobody has judged: also for a trace from a file, which holds no ops.
Plan plan_of(const Trace& trace, const std::vector<PlanRegion>& regions);

// Does the first lose less time to replays than the second, or as much with a lower peak?
bool cheaper(const Simulation& first, const Simulation& second);

}  // namespace reprise::checkpoint
