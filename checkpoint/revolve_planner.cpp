#include <algorithm>
#include <bit>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/core/error.h"

namespace reprise::checkpoint {
namespace {

// C(n, k), at most `most`.
std::int64_t binomial(std::int64_t n, std::int64_t k, std::int64_t most) {
  std::int64_t result = 1;
  for (std::int64_t i = 1; i <= k; ++i) {
    result = result * (n - k + i) / i;
    if (result >= most) return most;
  }
  return result;
}

// Where to cut `steps`: the part before it has all slots, the rest one fewer, whose input takes the slot.
std::int64_t first_part(std::int64_t steps, std::int64_t slots) {
  if (slots == 1) return steps - 1;
  std::int64_t best = 1, least = INT64_MAX;
  for (std::int64_t m = 1; m < steps; ++m) {
    const std::int64_t advances = m + revolve_advances(m, slots) + revolve_advances(steps - m, slots - 1);
    if (advances < least) {
      least = advances;
      best = m;
    }
  }
  return best;
}

}  // namespace

std::int64_t revolve_advances(std::int64_t steps, std::int64_t slots) {
  if (steps < 1 || slots < 1) throw UserError("revolve: at least one step and one slot are needed");
  if (steps == 1) return 0;
  constexpr std::int64_t kMany = std::int64_t{1} << 40;  // above any number of steps
  std::int64_t r = 0;
  while (binomial(slots + r, std::min(slots, r), kMany) < steps) ++r;
  return r * steps - binomial(slots + r, std::min(slots + 1, r - 1), kMany);
}

std::vector<PlanRegion> revolve_regions(const std::vector<std::int32_t>& edges, std::int64_t slots) {
  if (slots < 1) throw UserError("revolve: at least one slot is needed");
  struct Passage {
    std::int64_t first, last, slots;  // stages
  };
  std::vector<PlanRegion> regions;
  std::vector<Passage> open{{0, std::ssize(edges) - 1, slots}};
  while (!open.empty()) {
    Passage rest = open.back();
    open.pop_back();
    for (; rest.last - rest.first > 1; --rest.slots) {
      const std::int64_t part = first_part(rest.last - rest.first, rest.slots);
      if (part > 1) {
        regions.push_back({edges[static_cast<std::size_t>(rest.first)],
                           edges[static_cast<std::size_t>(rest.first + part)]});
        open.push_back({rest.first, rest.first + part, rest.slots});
      }
      rest.first += part;
    }
  }
  return regions;
}

Plan revolve_planner(const Trace& trace, const PlanOptions& options) {
  const std::vector<std::int32_t> edges = chain_edges(trace);
  const auto stages = std::max<std::int64_t>(1, std::ssize(edges) - 1);
  if (options.budget == 0)
    return plan_of(trace, revolve_regions(edges, std::bit_width(static_cast<std::uint64_t>(stages))));
  Candidates candidates(trace, options.budget);
  if (candidates.fits(candidates.consider({}))) return std::move(candidates).take();
  // Each number up to 16, then in steps of an eighth. Too few slots for a long chain cost more replays than anybody would wait
  // for.
  const std::int64_t most_advances = std::max<std::int64_t>(100'000, 10 * stages);
  for (std::int64_t slots = 1; slots < stages; slots += std::max<std::int64_t>(1, slots / 8))
    if (revolve_advances(stages, slots) <= most_advances) candidates.consider(revolve_regions(edges, slots));
  return std::move(candidates).take();
}

}  // namespace reprise::checkpoint
