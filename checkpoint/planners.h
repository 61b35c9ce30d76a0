#pragma once
// Ready planners: functions from a trace and a budget to a plan. All of them judge their candidates by driving the engine
// from the trace, so that what they promise is what a step takes. Each returns, of the plans that it knows, the one that
// loses the least time to replays among those within the budget; where none fits, the one with the lowest peak (and
// checkpoint::plan refuses it). docs/planning.md compares them.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "reprise/checkpoint/plan.h"

namespace reprise::checkpoint {

// Balanced segments, each a region but the last (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).
// Segments end where few bytes cross. Memory O(sqrt(n)), at most one more forward pass. Without a budget: round(sqrt(n))
// segments of the forward pass's n nodes. In a step with several forward passes each is cut, into segments about as long.
// The other planners cut the first pass only.
Plan sqrt_planner(const Trace& trace, const PlanOptions& options);

// Segments of segments (the same paper, section 4.3): each passage is cut into k parts, all but the last are regions, and
// each part is cut again. Memory O(k log n / log k), O(n log n / log k) replays. With a budget: the k, and how often it is
// cut, that fit at the lowest cost. Without one: k = 2, cut to single stages.
Plan recursive_planner(const Trace& trace, const PlanOptions& options);

// Optimal for chains of equal stages (Griewank and Walther, "Algorithm 799: Revolve", 2000), where a stage is what lies between two
// of chain_edges (forward_pass.h). With a budget: the number of slots that fits at the lowest cost. Without one: as many
// slots as the logarithm of the number of stages.
Plan revolve_planner(const Trace& trace, const PlanOptions& options);

// Optimal persistent schedules for chains of unequal stages (Beaumont et al., "Optimal checkpointing for heterogeneous chains",
// 2019), by dynamic programming over the stages of chain_edges with their costs as the engine has them. Memory is divided
// into at most 500 units, sizes are rounded up; so the plan costs no more than the best schedule for a budget that is
// smaller by a unit for each stage. Chains of over 128 stages are taken as 128.
Plan rotor_planner(const Trace& trace, const PlanOptions& options);

// Any graph. Passages of the forward pass become regions that keep some of their values: at a price for a byte, a minimum cut
// finds what is cheaper to keep than to make again; a dynamic program over passages and prices finds the regions; a search that the
// engine judges improves on them (keep_search.h). Regions do not nest, so that rotor_planner reaches lower budgets.
Plan graph_planner(const Trace& trace, const PlanOptions& options);

// The cheapest plan of sqrt, graph and rotor that fits; where none does, of revolve and recursive. Without a budget: sqrt's.
Plan auto_planner(const Trace& trace, const PlanOptions& options);

// A ready planner by name: auto, sqrt, graph, rotor, revolve, recursive. UserError for another, which lists them.
Planner planner_by_name(std::string_view name);
std::span<const std::string_view> planner_names();

// Revolve's regions for stages edges[0] .. edges.back() with this many slots for stages' inputs, the first one's among
// them. The spine is flat: the forward pass itself is the schedule's first sweep.
std::vector<PlanRegion> revolve_regions(const std::vector<std::int32_t>& edges, std::int64_t slots);

// Forward steps that reversing a chain of `steps` input-saving steps takes with `slots` slots, the first sweep counted,
// the steps that make what a backward reads not: r l - C(c + r, c + 1), r least with C(c + r, c) >= l.
std::int64_t revolve_advances(std::int64_t steps, std::int64_t slots);

}  // namespace reprise::checkpoint
