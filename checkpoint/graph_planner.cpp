// Any graph of ops: passages of the forward pass become regions of which some values are kept. What to keep at a price for a
// byte is a minimum cut (keep_sets.h); where the regions end and at which price each keeps is a dynamic program over what
// the engine measures (chain_costs.h); the engine judges what comes of it, and a search over what to keep goes on from there
// (keep_search.h).
#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/chain_costs.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/keep_search.h"
#include "reprise/checkpoint/keep_sets.h"
#include "reprise/checkpoint/planners.h"

namespace reprise::checkpoint {
namespace {

constexpr std::int64_t kMostStages = 96;
constexpr std::int64_t kUnits = 400;  // into which the memory is divided
constexpr float kInfeasible = std::numeric_limits<float>::infinity();

struct Schedule {
  std::vector<PlanRegion> regions;
  std::vector<PlanDecision> kept;
  friend bool operator==(const Schedule&, const Schedule&) = default;
};

// Keep sets from "all of it is made again" to "only what costs next to nothing is".
std::vector<KeepSet> keep_sets(const Trace& trace) {
  std::vector<double> prices;  // seconds for a byte, of each node
  for (std::int32_t n = 0; n < forward_nodes(trace); ++n) {
    const TraceNode& node = trace.nodes[static_cast<std::size_t>(n)];
    double bytes = 0;
    for (const std::int32_t v : node.outputs)
      bytes += static_cast<double>(trace.values[static_cast<std::size_t>(v)].bytes);
    if (node.tracked && node.seconds > 0 && bytes > 0) prices.push_back(node.seconds / bytes);
  }
  std::vector<KeepSet> sets;
  if (prices.empty()) return sets;
  std::sort(prices.begin(), prices.end());
  std::vector<double> levels;
  for (const std::size_t percent : {10, 25, 40, 55, 70, 85, 100})
    levels.push_back(1.001 * prices[(prices.size() - 1) * percent / 100]);
  for (const double factor : {2, 4, 16}) levels.push_back(factor * prices.back());
  std::sort(levels.begin(), levels.end(), std::greater<>());
  KeepSet nothing;  // all of it is made again
  nothing.runs_again.assign(static_cast<std::size_t>(forward_nodes(trace)), true);
  sets.push_back(std::move(nothing));
  for (const double level : levels) {
    KeepSet set = cheapest_keep_set(trace, level);
    if (set.kept != sets.back().kept) sets.push_back(std::move(set));
  }
  return sets;
}

// least(s)[m]: seconds lost when stages s to the last have m units besides what those before them hold.
class Partitions {
 public:
  Partitions(const Trace& trace, const std::vector<ChainStage>& stages, const std::vector<KeepSet>& sets)
      : stages_(stages), sets_(sets) {
    std::int64_t highest = 1, held = 0;
    for (const ChainStage& s : stages_) {
      highest = std::max(highest, held + std::max(s.forward_keeping, s.backward));
      held_before_.push_back(held += s.saved + s.output);
    }
    held_before_.insert(held_before_.begin(), 0);
    unit_ = std::max<std::int64_t>(1, (highest + kUnits - 1) / kUnits);
    units_ = (highest + unit_ - 1) / unit_ + count();
    for (const KeepSet& set : sets_) add_sums(trace, set);
    least_.assign(static_cast<std::size_t>(count()) + 1,
                  std::vector<float>(static_cast<std::size_t>(units_) + 1, 0));
    for (std::int64_t s = count() - 1; s >= 0; --s) fill(s);
  }

  std::int64_t units() const { return units_; }
  bool feasible(std::int64_t m) const { return least_[0][static_cast<std::size_t>(m)] < kInfeasible; }

  Schedule schedule(std::int64_t m) const {
    Schedule result;
    for (std::int64_t s = 0; s < count();) {
      std::int64_t last = s, held = 0;
      const KeepSet* kept = nullptr;
      float least = kInfeasible;
      for_each_choice(
          s, [&](std::int64_t k, const KeepSet* set, std::int64_t need, std::int64_t holds, float seconds) {
            if (m < std::max(need, holds)) return;
            const float all =
                seconds + least_[static_cast<std::size_t>(k + 1)][static_cast<std::size_t>(m - holds)];
            if (all >= least) return;
            least = all;
            last = k;
            held = holds;
            kept = set;
          });
      if (kept) {
        const std::int32_t first_node = stage(s).first, last_node = stage(last).last;
        result.regions.push_back({first_node, last_node});
        for (const PlanDecision& decision : kept->kept)
          if (decision.node >= first_node && decision.node < last_node) result.kept.push_back(decision);
      }
      m -= held;
      s = last + 1;
    }
    return result;
  }

 private:
  std::int64_t count() const { return std::ssize(stages_); }
  const ChainStage& stage(std::int64_t s) const { return stages_[static_cast<std::size_t>(s)]; }
  std::int64_t in_units(std::int64_t bytes) const { return bytes <= 0 ? 0 : (bytes + unit_ - 1) / unit_; }

  // Running sums over stages of what a keep set holds and of what runs again.
  void add_sums(const Trace& trace, const KeepSet& set) {
    std::vector<std::int64_t> bytes{0};
    std::vector<double> seconds{0};
    std::size_t decision = 0;
    for (const ChainStage& s : stages_) {
      bytes.push_back(bytes.back());
      seconds.push_back(seconds.back());
      for (; decision < set.kept.size() && set.kept[decision].node < s.last; ++decision) {
        const PlanDecision& kept = set.kept[decision];
        const std::int32_t v =
            trace.nodes[static_cast<std::size_t>(kept.node)].outputs[static_cast<std::size_t>(kept.output)];
        bytes.back() += static_cast<std::int64_t>(trace.values[static_cast<std::size_t>(v)].bytes);
      }
      for (std::int32_t n = s.first; n < s.last; ++n)
        if (set.runs_again[static_cast<std::size_t>(n)])
          seconds.back() += trace.nodes[static_cast<std::size_t>(n)].seconds;
    }
    kept_before_.push_back(std::move(bytes));
    seconds_before_.push_back(std::move(seconds));
  }

  void fill(std::int64_t s) {
    std::vector<float>& least = least_[static_cast<std::size_t>(s)];
    std::fill(least.begin(), least.end(), kInfeasible);
    for_each_choice(
        s, [&](std::int64_t k, const KeepSet*, std::int64_t need, std::int64_t holds, float seconds) {
          const std::vector<float>& rest = least_[static_cast<std::size_t>(k + 1)];
          for (std::int64_t m = std::max(need, holds); m <= units_; ++m)
            least[static_cast<std::size_t>(m)] = std::min(
                least[static_cast<std::size_t>(m)], seconds + rest[static_cast<std::size_t>(m - holds)]);
        });
  }

  // f(last stage, what the region keeps or null where stage s is kept whole, units needed, units held, seconds)
  template <class F>
  void for_each_choice(std::int64_t s, F&& f) const {
    f(s, nullptr, in_units(std::max(stage(s).backward, stage(s).forward_keeping)),
      in_units(stage(s).saved + stage(s).output), 0.0F);
    const auto first = static_cast<std::size_t>(s);
    std::int64_t opened = 0, forward = 0;
    for (std::int64_t k = s; k < count(); ++k) {
      const auto last = static_cast<std::size_t>(k) + 1;
      opened = std::max(opened, held_before_[static_cast<std::size_t>(k)] - held_before_[first] +
                                    std::max(stage(k).backward, stage(k).forward_keeping));
      forward = std::max(forward, (k > s ? stage(k - 1).output : 0) + stage(k).forward_alone);
      for (std::size_t set = 0; set < sets_.size(); ++set) {
        const std::int64_t kept = kept_before_[set][last] - kept_before_[set][first];
        f(k, &sets_[set], in_units(std::max(opened, forward + kept)), in_units(kept + stage(k).output),
          static_cast<float>(seconds_before_[set][last] - seconds_before_[set][first]));
      }
    }
  }

  const std::vector<ChainStage>& stages_;
  const std::vector<KeepSet>& sets_;
  std::int64_t unit_ = 1, units_ = 0;
  std::vector<std::int64_t> held_before_;               // by the stages before, all kept
  std::vector<std::vector<std::int64_t>> kept_before_;  // per keep set
  std::vector<std::vector<double>> seconds_before_;
  std::vector<std::vector<float>> least_;
};

Plan plan_within(const Trace& trace, std::size_t budget) {
  Candidates candidates(trace, budget);
  if (candidates.fits(candidates.consider({}))) return std::move(candidates).take();
  const std::vector<ChainStage> stages = chain_costs(trace, chain_edges(trace, kMostStages));
  const std::vector<KeepSet> sets = keep_sets(trace);
  const Partitions partitions(trace, stages, sets);
  std::vector<Schedule> distinct;
  for (std::int64_t m = 0; m <= partitions.units(); ++m) {
    if (!partitions.feasible(m)) continue;
    Schedule schedule = partitions.schedule(m);
    if (distinct.empty() || schedule != distinct.back()) distinct.push_back(std::move(schedule));
  }
  // The engine visits some 80,000 nodes, half a second where they are convolutions; a small graph gets more.
  const std::size_t nodes = std::max<std::size_t>(1, trace.nodes.size());
  const std::size_t rounds = std::clamp<std::size_t>((nodes <= 64 ? 240'000 : 60'000) / nodes, 10, 5000);
  const std::size_t judged = std::min(std::min<std::size_t>(rounds / 2, 30), distinct.size());
  for (std::size_t i = 0; i < judged; ++i) {
    const Schedule& schedule = distinct[i * distinct.size() / judged];
    candidates.consider(schedule.regions, schedule.kept);
  }
  search_keep_sets(trace, candidates, budget, static_cast<int>(rounds));
  return std::move(candidates).take();
}

}  // namespace

Plan graph_planner(const Trace& trace, const PlanOptions& options) {
  Plan plan = plan_within(trace, options.budget);
  // Where the budget is out of reach, what it says of the least is so: with a byte less it finds nothing.
  while (options.budget != 0 && plan.predicted_peak() > options.budget) {
    Plan lower = plan_within(trace, plan.predicted_peak() - 1);
    if (lower.predicted_peak() >= plan.predicted_peak()) break;
    plan = std::move(lower);
  }
  return plan;
}

}  // namespace reprise::checkpoint
