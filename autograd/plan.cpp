// Plans as data: their order, and the rules that every planner and the engine may trust.
#include "reprise/autograd/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/core/error.h"

namespace reprise {
namespace {

void check_regions(const Plan& plan) {
  std::vector<PlanRegion> open;
  std::int32_t previous = 0;
  for (const PlanRegion& region : plan.regions) {
    while (!open.empty() && open.back().last <= region.first) open.pop_back();
    const bool nested = open.empty() || region.last <= open.back().last;
    if (region.first < previous || region.last <= region.first || !nested ||
        region.last > static_cast<std::int32_t>(plan.nodes.size()))
      throw UserError(fmt::format(
          "region [{}, {}) does not nest with the others in preorder, or leaves the step's {} nodes",
          region.first, region.last, plan.nodes.size()));
    previous = region.first;
    open.push_back(region);
  }
}

void check_decisions(const Plan& plan) {
  const PlanDecision* previous = nullptr;
  for (const PlanDecision& d : plan.decisions) {
    if (d.node < 0 || static_cast<std::size_t>(d.node) >= plan.nodes.size() || d.output < 0)
      throw UserError(fmt::format("the decision for output {} of node {} leaves the step's {} nodes",
                                  d.output, d.node, plan.nodes.size()));
    if (previous && !(std::pair{previous->node, previous->output} < std::pair{d.node, d.output}))
      throw UserError(
          fmt::format("the decisions are not in order, or two are for output {} of node {}: call sort()",
                      d.output, d.node));
    previous = &d;
  }
}

}  // namespace

void Plan::validate() const {
  check_regions(*this);
  check_decisions(*this);
}

void Plan::sort() {
  std::stable_sort(regions.begin(), regions.end(), [](const PlanRegion& a, const PlanRegion& b) {
    return a.first != b.first ? a.first < b.first : a.last > b.last;
  });
  std::sort(decisions.begin(), decisions.end(), [](const PlanDecision& a, const PlanDecision& b) {
    return a.node != b.node ? a.node < b.node : a.output < b.output;
  });
}

}  // namespace reprise
