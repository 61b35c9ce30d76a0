#include "reprise/checkpoint/plan_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

std::string line(const PlanRegion& r) {
  return fmt::format("region [{}, {}){}", r.first, r.last, r.eager ? ", eager" : "");
}
std::string line(const PlanDecision& d) {
  const char* what = d.decision == Decision::keep      ? "keep"
                     : d.decision == Decision::offload ? "offload"
                                                       : "recompute";
  return fmt::format("{} output {} of node {}", what, d.output, d.node);
}

// "-" for what only the first list has, "+" for what only the second has.
template <class T>
void add_differences(std::string& text, const std::vector<T>& first, const std::vector<T>& second) {
  const auto add = [&](char sign, const std::vector<T>& list, const std::vector<T>& other) {
    for (const T& item : list)
      if (std::find(other.begin(), other.end(), item) == other.end())
        text += fmt::format("{} {}\n", sign, line(item));
  };
  add('-', first, second);
  add('+', second, first);
}

}  // namespace

void validate(const Plan& plan, const Trace& trace) {
  const std::size_t nodes = std::min(trace.nodes.size(), plan.nodes.size());
  for (std::size_t n = 0; n < nodes; ++n)
    if (trace.nodes[n].op != plan.nodes[n].op)
      throw UserError(fmt::format(
          "plan: node {} is {}, but the plan was made for a step with {} there: plan this step again", n,
          trace.nodes[n].op, plan.nodes[n].op));
  if (trace.nodes.size() != plan.nodes.size())
    throw UserError(
        fmt::format("plan: the step has {} nodes, but the plan was made for one of {}: plan this step again",
                    trace.nodes.size(), plan.nodes.size()));
}

std::string diff(const Plan& first, const Plan& second) {
  std::string text;
  const std::size_t nodes = std::min(first.nodes.size(), second.nodes.size());
  for (std::size_t n = 0; n < nodes; ++n)
    if (first.nodes[n] != second.nodes[n]) {
      text +=
          fmt::format("for different steps: node {} is {} {}, and {} {}\n", n, first.nodes[n].op,
                      to_string(first.nodes[n].shape), second.nodes[n].op, to_string(second.nodes[n].shape));
      break;
    }
  if (first.nodes.size() != second.nodes.size())
    text += fmt::format("for different steps: {} nodes, and {}\n", first.nodes.size(), second.nodes.size());
  add_differences(text, first.regions, second.regions);
  add_differences(text, first.decisions, second.decisions);
  if (first.predicted_peak() != second.predicted_peak())
    text += fmt::format("predicted peak {} bytes, and {}\n", first.predicted_peak(), second.predicted_peak());
  if (first.replays() != second.replays())
    text += fmt::format("{} nodes run again, and {}\n", first.replays(), second.replays());
  return text;
}

}  // namespace reprise::checkpoint
