// Planners on chains, whose optima are known in closed form.
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/checkpoint/forward_pass.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using checkpoint::plan_of;

namespace {

// A chain of equal steps, each of which saves its input; backward begins at its end, so that every node is a step.
struct UnitChain {
  std::int64_t length;
  Tensor x = random_leaf({16}, 1);
  static constexpr std::size_t kUnit = 16 * sizeof(double);

  checkpoint::Step step() const {
    return [this](Tape& tape) {
      Tensor h = x;
      for (std::int64_t i = 0; i < length; ++i) h = sine(std::move(h));
      tape.backward(h, {.seed = Tensor::ones({16}, {.dtype = DType::f64})});
    };
  }
};

struct Run {
  std::size_t peak;
  std::int64_t replays;
  Bits gradient;
};
Run run(const UnitChain& chain, const Plan& plan) {
  chain.x.set_grad({});
  memory::reset_peak(Device::cpu());
  Tape tape({.plan = plan});
  chain.step()(tape);
  return {memory::peak_without_data(Device::cpu()), tape.replays(), bits(chain.x.grad())};
}

}  // namespace

TEST_CASE("revolve replays what the closed form says", "[checkpoint]") {
  struct Known {
    std::int32_t steps;
    std::int64_t slots, advances;
  };
  for (const auto& [steps, slots, advances] :
       {Known{10, 3, 15}, Known{16, 4, 27}, Known{32, 5, 68}, Known{50, 5, 122}, Known{100, 3, 490},
        Known{100, 5, 316}, Known{100, 10, 222}, Known{1000, 10, 3636}}) {
    INFO(steps << " steps, " << slots << " slots");
    CHECK(checkpoint::revolve_advances(steps, slots) == advances);
    const UnitChain chain{steps};
    const Trace trace = checkpoint::trace(chain.step());
    const std::vector<std::int32_t> edges = checkpoint::chain_edges(trace);
    REQUIRE(std::ssize(edges) == steps + 1);
    const Run plain = run(chain, plan_of(trace, {}));
    CHECK(plain.replays == 0);

    std::vector<PlanRegion> regions = checkpoint::revolve_regions(edges, slots);
    const Run spine = run(chain, plan_of(trace, regions));
    CHECK(spine.replays == advances - (steps - 1));  // the forward pass is the schedule's first sweep
    CHECK(spine.gradient == plain.gradient);
    regions.push_back({0, steps});  // one region around the chain: that sweep is a replay too
    const Run outer = run(chain, plan_of(trace, regions));
    CHECK(outer.replays == advances);
    CHECK(outer.gradient == plain.gradient);
    // Of the slots one is the chain's input, which is there before; besides the others a step's input, its gradient, the
    // one before and the seed live at the highest.
    CHECK(spine.peak < plain.peak);
    CHECK(spine.peak - memory::live(Device::cpu()) <=
          (static_cast<std::size_t>(slots) + 4) * UnitChain::kUnit);
  }
}

TEST_CASE("revolve_advances agrees with the dynamic program it solves", "[checkpoint]") {
  constexpr std::int64_t kSteps = 40, kSlots = 6;
  std::vector<std::vector<std::int64_t>> least(kSlots + 1, std::vector<std::int64_t>(kSteps + 1));
  for (std::int64_t c = 1; c <= kSlots; ++c)
    for (std::int64_t l = 1; l <= kSteps; ++l) {
      least[c][l] = l * (l - 1) / 2;
      for (std::int64_t m = 1; c > 1 && m < l; ++m)
        least[c][l] = std::min(least[c][l], m + least[c][m] + least[c - 1][l - m]);
      INFO(l << " steps, " << c << " slots");
      CHECK(checkpoint::revolve_advances(l, c) == least[c][l]);
    }
  CHECK_THROWS_AS(checkpoint::revolve_advances(0, 3), UserError);
  CHECK_THROWS_AS(checkpoint::revolve_advances(3, 0), UserError);
}

TEST_CASE("recursive segments take logarithmic memory and n log n replays", "[checkpoint]") {
  for (const auto& [steps, log2] : {std::pair{64, 6}, std::pair{256, 8}, std::pair{1024, 10}}) {
    INFO(steps << " steps");
    const UnitChain chain{steps};
    const Trace trace = checkpoint::trace(chain.step());
    const Plan plan = checkpoint::plan(trace, {.planner = checkpoint::recursive_planner});
    const Run outcome = run(chain, plan);
    CHECK(outcome.peak == plan.predicted_peak());
    CHECK(outcome.replays == plan.replays());
    // Halves of halves: each of the log2 levels runs the first half of every passage again, less what is not needed.
    CHECK(outcome.replays <= steps / 2 * log2);
    CHECK(outcome.replays > steps / 2 * (log2 - 2));
    CHECK(outcome.peak - memory::live(Device::cpu()) <=
          static_cast<std::size_t>(log2 + 4) * UnitChain::kUnit);
    CHECK(outcome.gradient == run(chain, plan_of(trace, {})).gradient);
  }
}

TEST_CASE("a chain is cut where one buffer that is saved anyway crosses", "[checkpoint]") {
  const Tensor x = random_leaf({16}, 1), w = random_leaf({16}, 2);
  // tanh saves its output: what goes into it nobody needs. The product saves both operands.
  const Trace chain = checkpoint::trace([&](Tape& tape) {
    Tensor h = x;
    for (int k = 0; k < 3; ++k) h = squash(std::move(h) + w);
    tape.backward(sum(std::move(h)));
  });
  CHECK(checkpoint::chain_edges(chain) == std::vector<std::int32_t>{0, 2, 4, 6, 7});
  // A residual: two values cross inside.
  const Trace residual = checkpoint::trace([&](Tape& tape) {
    Tensor h = sine(x);
    Tensor branch = sine(sine(h));
    h = std::move(h) * std::move(branch);
    tape.backward(sum(sine(std::move(h))));
  });
  CHECK(checkpoint::chain_edges(residual) == std::vector<std::int32_t>{0, 1, 4, 6});
}
