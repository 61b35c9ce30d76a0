// The mixed-integer programs: no plan beats their bound, and the graph planner comes within 5 % of it.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <utility>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/checkpoint/optimum/optimum.h"
#include "reprise/tests/model_subject.h"
#include "reprise/tests/random_plan.h"

using namespace reprise;
using namespace reprise::test;

namespace {

Subject small_gpt(std::int64_t layers) {
  return Subject(nn::make_gpt({.vocabulary = 17, .context = 16, .layers = layers, .width = 32, .heads = 2}),
                 8);
}

// As many evenly between the least that the planner can do with and keeping everything.
void check_graph(const Trace& trace, std::size_t budgets) {
  const std::size_t all = checkpoint::simulate(trace, checkpoint::plan_of(trace, {})).peak_bytes,
                    least = checkpoint::graph_planner(trace, {.budget = 1}).predicted_peak();
  for (std::size_t i = 1; i <= budgets; ++i) {
    const std::size_t budget = least + (all - least) * i / (budgets + 1);
    INFO("budget " << budget << " between " << least << " and " << all);
    const checkpoint::Simulation graph =
        checkpoint::simulate(trace, checkpoint::graph_planner(trace, {.budget = budget}));
    const checkpoint::Optimum best = checkpoint::optimum(trace, {.budget = budget, .flat = true});
    REQUIRE(best.proven);
    CHECK(graph.peak_bytes <= budget);
    CHECK(graph.replayed_seconds <= 1.05 * best.bound + 1e-12);
    // The program's schedule, as a plan, does what the program says.
    const checkpoint::ForwardBuffers forward = checkpoint::forward_buffers(trace);
    if (best.as_plan.kept.empty()) continue;
    checkpoint::KeepPlan schedule =
        checkpoint::keep_plan(forward, best.as_plan, checkpoint::demand(forward, best.as_plan));
    Plan plan = checkpoint::plan_of(trace, schedule.regions);
    plan.decisions = std::move(schedule.decisions);
    const checkpoint::Simulation judged = checkpoint::simulate(trace, plan);
    CHECK(judged.peak_bytes <= budget);
    CHECK(judged.replayed_seconds == Approx(best.bound).epsilon(1e-4));
  }
}

}  // namespace

TEST_CASE("no plan loses less time than the bound for its peak", "[planners]") {
  const unsigned seed = 23;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Subject gpt = small_gpt(1), lenet("lenet");
  int with_replays = 0;
  for (Subject* subject : {&gpt, &lenet}) {
    const Trace trace = checkpoint::trace(subject->step());
    for (int round = 0; round < 20; ++round) {
      Plan plan = random_plan(trace, random, round % 6);
      std::erase_if(plan.decisions, [](const PlanDecision& d) { return d.decision == Decision::offload; });
      const checkpoint::Simulation judged = checkpoint::simulate(trace, plan);
      const checkpoint::Optimum best = checkpoint::optimum(trace, {.budget = judged.peak_bytes});
      INFO("plan " << round << " of " << plan.regions.size() << " regions, peak " << judged.peak_bytes);
      CHECK(best.bound <= judged.replayed_seconds * (1 + 1e-6) + 1e-12);
      with_replays += best.bound > 0;
    }
  }
  CHECK(with_replays > 0);
}

TEST_CASE("the graph planner is within 5 % of the optimum: lenet", "[planners]") {
  Subject subject("lenet");
  check_graph(checkpoint::trace(subject.step()), 4);
}
TEST_CASE("the graph planner is within 5 % of the optimum: a layer of a gpt", "[planners]") {
  Subject subject = small_gpt(1);
  check_graph(checkpoint::trace(subject.step()), 4);
}
TEST_CASE("the graph planner is within 5 % of the optimum: two layers of a gpt", "[planners][slow]") {
  Subject subject = small_gpt(2);
  check_graph(checkpoint::trace(subject.step()), 4);
}
TEST_CASE("the graph planner is within 5 % of the optimum: resnet18", "[planners][slow]") {
  Subject subject("resnet18", DType::f32, 32);
  check_graph(checkpoint::trace(subject.step()), 4);
}
