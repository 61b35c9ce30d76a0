// Rotor against every persistent schedule there is, on random chains of unequal stages.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using checkpoint::plan_of;

namespace {

using Regions = std::vector<PlanRegion>;

// Products of unequal sizes: each saves its input, has a weight whose gradient stays, and takes a time of its own.
struct UnequalChain {
  std::vector<Tensor> weights;
  Tensor x;

  UnequalChain(int stages, std::mt19937& random) {
    auto width = static_cast<std::int64_t>(1 + random() % 12);
    x = Tensor::ones({4, width}, {.dtype = DType::f64});
    for (int i = 0; i < stages; ++i) {
      const auto next = static_cast<std::int64_t>(1 + random() % 12);
      Tensor weight = Tensor::ones({width, next}, {.dtype = DType::f64});
      weight.set_requires_grad(true);
      weights.push_back(std::move(weight));
      width = next;
    }
  }
  checkpoint::Step step() const {
    return [this](Tape& tape) {
      Tensor h = x;
      for (const Tensor& weight : weights) h = matmul(std::move(h), weight);
      tape.backward(h, {.seed = Tensor::ones(h.shape(), {.dtype = DType::f64})});
    };
  }
};

// All ways to schedule stages s to t: the first is kept, or the first few, but not all, are a region.
std::vector<Regions> all_schedules(std::int32_t s, std::int32_t t) {
  if (s == t) return {{}};
  std::vector<Regions> all = all_schedules(s + 1, t);
  for (std::int32_t k = s + 1; k < t; ++k)
    for (const Regions& inside : all_schedules(s, k))
      for (const Regions& rest : all_schedules(k + 1, t)) {
        Regions both{{s, k + 1}};
        both.insert(both.end(), inside.begin(), inside.end());
        both.insert(both.end(), rest.begin(), rest.end());
        all.push_back(std::move(both));
      }
  return all;
}

}  // namespace

TEST_CASE("rotor is as good as the best persistent schedule, at every budget", "[planners]") {
  const unsigned seed = 31;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  REQUIRE(all_schedules(0, 5).size() == 42);
  int with_replays = 0;
  for (int round = 0; round < 60; ++round) {
    const int stages = 2 + round % 5;
    INFO("chain " << round << " of " << stages << " stages");
    const UnequalChain chain(stages, random);
    Trace trace = checkpoint::trace(chain.step());
    for (TraceNode& node : trace.nodes) node.seconds = static_cast<double>(1 + random() % 9);
    std::vector<checkpoint::Simulation> every;
    for (const Regions& regions : all_schedules(0, stages - 1))
      every.push_back(checkpoint::simulate(trace, plan_of(trace, regions)));
    std::vector<std::size_t> budgets;
    for (const checkpoint::Simulation& one : every) budgets.push_back(one.peak_bytes);
    std::sort(budgets.begin(), budgets.end());
    double before = 1e300;
    for (const std::size_t budget : budgets) {
      INFO("budget " << budget);
      double best = 1e300;
      for (const checkpoint::Simulation& one : every)
        if (one.peak_bytes <= budget) best = std::min(best, one.replayed_seconds);
      const Plan plan = checkpoint::plan(trace, {.budget = budget, .planner = checkpoint::rotor_planner});
      const checkpoint::Simulation rotor = checkpoint::simulate(trace, plan);
      CHECK(rotor.peak_bytes <= budget);
      CHECK(rotor.replayed_seconds == best);
      CHECK(rotor.replayed_seconds <= before);
      before = rotor.replayed_seconds;
      with_replays += rotor.replayed_seconds > 0 ? 1 : 0;

      memory::reset_peak(Device::cpu());
      {
        Tape tape({.plan = plan});
        chain.step()(tape);
      }
      CHECK(memory::peak_without_data(Device::cpu()) == rotor.peak_bytes);
      for (const Tensor& weight : chain.weights) weight.set_grad({});
    }
    CHECK_THROWS_WITH(
        checkpoint::plan(trace, {.budget = budgets.front() - 1, .planner = checkpoint::rotor_planner}),
        Catch::Contains(std::to_string(budgets.front())));
  }
  CHECK(with_replays > 100);
}
