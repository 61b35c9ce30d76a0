#include "reprise/checkpoint/planners.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"auto", "sqrt", "graph", "rotor", "revolve", "recursive"};
constexpr std::array<Plan (*)(const Trace&, const PlanOptions&), kNames.size()> kPlanners = {
    auto_planner, sqrt_planner, graph_planner, rotor_planner, revolve_planner, recursive_planner};

}  // namespace

std::span<const std::string_view> planner_names() { return kNames; }

Planner planner_by_name(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end())
    throw UserError(fmt::format("'{}' is no planner: {}", name, fmt::join(kNames, ", ")));
  return kPlanners[static_cast<std::size_t>(std::distance(kNames.begin(), found))];
}

}  // namespace reprise::checkpoint
