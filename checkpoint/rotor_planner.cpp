// Rotor: optimal persistent schedules for chains of unequal stages (Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova, "Optimal
// checkpointing for heterogeneous chains: how to train deep neural networks with limited memory", 2019), as regions: a stage
// that keeps what its backward reads (their F_all) is a direct node of its region, a passage of which only the input is
// kept (their F_ck) is a region inside.
#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/chain_costs.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/checkpoint/planners.h"

namespace reprise::checkpoint {
namespace {

constexpr std::int64_t kMostStages = 128;  // longer chains: several stages are taken for one
constexpr std::int64_t kUnits =
    500;  // into which the memory is divided, unless its sizes share a larger divisor
constexpr float kInfeasible = std::numeric_limits<float>::infinity();

// least(s, t)[m]: seconds lost in the backward of stages s to t from the input of s, which is held besides m units.
// least_at_root(s)[m]: the same for s to the last, whose forward is the step's own and costs nothing.
class Schedules {
 public:
  explicit Schedules(std::vector<ChainStage> stages) : stages_(std::move(stages)) {
    choose_unit();
    const auto n = static_cast<std::size_t>(count());
    inside_.resize(n * n);
    root_.resize(n);
    for (std::int64_t length = 1; length <= count(); ++length)
      for (std::int64_t s = 0; s + length <= count(); ++s) fill(s, s + length - 1, false);
    for (std::int64_t s = count() - 1; s >= 0; --s) fill(s, count() - 1, true);
  }

  std::int64_t units() const { return units_; }
  bool feasible(std::int64_t m) const { return root_[0][static_cast<std::size_t>(m)] < kInfeasible; }

  // The regions of the best schedule with m units.
  std::vector<PlanRegion> regions(std::int64_t m) const {
    struct Passage {
      std::int64_t s, t, m;
      bool root;
    };
    std::vector<PlanRegion> result;
    std::vector<Passage> open{{0, count() - 1, m, true}};
    while (!open.empty()) {
      Passage rest = open.back();
      open.pop_back();
      while (rest.s < rest.t) {
        const std::int64_t k = choice(rest.s, rest.t, rest.m, rest.root);
        if (k < 0) {
          rest.m -= in_units(stage(rest.s).saved + stage(rest.s).output);
          ++rest.s;
          continue;
        }
        result.push_back({stage(rest.s).first, stage(k).last});
        open.push_back({rest.s, k, rest.m, false});
        rest.m -= in_units(stage(k).output);
        rest.s = k + 1;
      }
    }
    return result;
  }

 private:
  using Table = std::vector<float>;  // per m

  std::int64_t count() const { return std::ssize(stages_); }
  const ChainStage& stage(std::int64_t s) const { return stages_[static_cast<std::size_t>(s)]; }
  std::int64_t in_units(std::int64_t bytes) const { return bytes <= 0 ? 0 : (bytes + unit_ - 1) / unit_; }
  Table& table(std::int64_t s, std::int64_t t, bool root) {
    return root ? root_[static_cast<std::size_t>(s)] : inside_[static_cast<std::size_t>(s * count() + t)];
  }
  const Table& table(std::int64_t s, std::int64_t t, bool root) const {
    return const_cast<Schedules*>(this)->table(s, t, root);
  }

  void choose_unit() {
    std::int64_t divisor = 0, highest = 1, held = 0;
    for (const ChainStage& s : stages_) {
      for (const std::int64_t bytes : {s.output, s.saved, s.forward_alone, s.forward_keeping, s.backward})
        divisor = std::gcd(divisor, bytes);
      highest = std::max(highest, held + std::max(s.forward_keeping, s.backward));
      held += s.saved + s.output;
    }
    unit_ = std::max(std::max<std::int64_t>(divisor, 1), (highest + kUnits - 1) / kUnits);
    units_ = (highest + unit_ - 1) / unit_ + count();  // each stage may be rounded up
  }

  std::int64_t gradients(std::int64_t t, bool root) const { return root ? 0 : stage(t).gradients_after; }
  // Units that keeping stage s, among s to t, takes at its own moments.
  std::int64_t need_kept(std::int64_t s, std::int64_t t, bool root) const {
    const bool runs = root || s < t || stage(s).seconds_saved > 0;
    return in_units(std::max(stage(s).backward, runs ? gradients(t, root) + stage(s).forward_keeping : 0));
  }

  void fill(std::int64_t s, std::int64_t t, bool root) {
    Table& least = table(s, t, root);
    least.assign(static_cast<std::size_t>(units_) + 1, kInfeasible);
    if (s == t) {
      const auto seconds = root ? 0.0F : static_cast<float>(stage(s).seconds_saved);
      for (std::int64_t m = need_kept(s, t, root); m <= units_; ++m)
        least[static_cast<std::size_t>(m)] = seconds;
      return;
    }
    for_each_choice(s, t, root,
                    [&](std::int64_t, std::int64_t from, std::int64_t held, float seconds, const Table& rest,
                        const Table* again) {
                      for (std::int64_t m = std::max(from, held); m <= units_; ++m) {
                        const auto i = static_cast<std::size_t>(m);
                        const float all =
                            seconds + rest[static_cast<std::size_t>(m - held)] + (again ? (*again)[i] : 0);
                        least[i] = std::min(least[i], all);
                      }
                    });
  }

  // -1: stage s is kept; k: stages s to k are a region.
  std::int64_t choice(std::int64_t s, std::int64_t t, std::int64_t m, bool root) const {
    std::int64_t best = -1;
    float least = kInfeasible;
    for_each_choice(s, t, root,
                    [&](std::int64_t k, std::int64_t from, std::int64_t held, float seconds,
                        const Table& rest, const Table* again) {
                      if (m < std::max(from, held)) return;
                      const float all = seconds + rest[static_cast<std::size_t>(m - held)] +
                                        (again ? (*again)[static_cast<std::size_t>(m)] : 0);
                      if (all < least) {
                        least = all;
                        best = k;
                      }
                    });
    return best;
  }

  // f(k, units it takes at least, units held while the rest is done, seconds, table of the rest, of stages s to k)
  template <class F>
  void for_each_choice(std::int64_t s, std::int64_t t, bool root, F&& f) const {
    f(-1, need_kept(s, t, root), in_units(stage(s).saved + stage(s).output),
      root ? 0.0F : static_cast<float>(stage(s).seconds_both), table(s + 1, t, root), nullptr);
    std::int64_t highest = 0;
    double seconds = 0;
    for (std::int64_t k = s; k < t; ++k) {
      highest = std::max(highest, (k > s ? stage(k - 1).output : 0) + stage(k).forward_alone);
      seconds += root ? 0 : stage(k).seconds_output;
      f(k, in_units(gradients(t, root) + highest), in_units(stage(k).output), static_cast<float>(seconds),
        table(k + 1, t, root), &table(s, k, false));
    }
  }

  std::vector<ChainStage> stages_;
  std::int64_t unit_ = 1, units_ = 0;
  std::vector<Table> inside_, root_;
};

}  // namespace

Plan rotor_planner(const Trace& trace, const PlanOptions& options) {
  // Sizes are rounded up to units, so that a schedule may take less than it was made for: the engine judges those for
  // every number of units, or as many of them as two million nodes allow.
  Candidates candidates(trace, options.budget);
  if (candidates.fits(candidates.consider({}))) return std::move(candidates).take();
  const Schedules schedules(chain_costs(trace, chain_edges(trace, kMostStages)));
  std::vector<std::vector<PlanRegion>> distinct;
  for (std::int64_t m = 0; m <= schedules.units(); ++m) {
    if (!schedules.feasible(m)) continue;
    std::vector<PlanRegion> regions = schedules.regions(m);
    if (distinct.empty() || regions != distinct.back()) distinct.push_back(std::move(regions));
  }
  const std::size_t most = std::max<std::size_t>(8, 2'000'000 / std::max<std::size_t>(1, trace.nodes.size()));
  const std::size_t judged = std::min(most, distinct.size());
  for (std::size_t i = 0; i < judged; ++i)
    candidates.consider(std::move(distinct[i * distinct.size() / judged]));
  return std::move(candidates).take();
}

}  // namespace reprise::checkpoint
