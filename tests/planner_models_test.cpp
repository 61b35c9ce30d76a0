// Planners on whole models: ten budgets between the least that a planner can do with and keeping everything. The step's
// peak is the predicted one, to the byte, and within the budget; the bits are those without checkpointing.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "reprise/checkpoint/checkpoint.h"
#include "reprise/tests/model_subject.h"

using namespace reprise;
using namespace reprise::test;

namespace {

void check_budgets(std::string_view name, DType dtype = DType::f32, std::int64_t pixels = 0) {
  Subject subject(name, dtype, pixels);
  const Outcome plain = take_step(subject, {}, false, nullptr);
  subject.reset();
  const Trace trace = checkpoint::trace(subject.step());
  std::vector<Plan> run;  // a plan that two planners make is run once
  for (const std::string_view planner_name : checkpoint::planner_names()) {
    const checkpoint::Planner planner = checkpoint::planner_by_name(planner_name);
    INFO(name << " in " << to_string(dtype) << ", planner " << planner_name);
    const std::size_t least = planner(trace, {.budget = 1}).predicted_peak();
    REQUIRE(least <= plain.peak);
    CHECK_THROWS_WITH(checkpoint::plan(trace, {.budget = least - 1, .planner = planner}),
                      Catch::Contains(std::to_string(least)));
    double seconds_before = 1e300;
    for (std::size_t i = 0; i < 10; ++i) {
      const std::size_t budget = least + (plain.peak - least) * i / 9;
      INFO("budget " << budget << ", the " << i << "th of 10 from " << least << " to " << plain.peak);
      const Plan plan = checkpoint::plan(trace, {.budget = budget, .planner = planner});
      REQUIRE(plan.predicted_peak() <= budget);
      const double seconds = checkpoint::simulate(trace, plan).replayed_seconds;
      CHECK(seconds <= seconds_before);  // more memory never costs more
      seconds_before = seconds;
      if (std::any_of(run.begin(), run.end(), [&](const Plan& before) {
            return before.regions == plan.regions && before.decisions == plan.decisions;
          }))
        continue;
      const Outcome outcome = take_step(subject, {}, false, &plan);
      REQUIRE(outcome.bits == plain.bits);
      REQUIRE(outcome.peak == plan.predicted_peak());
      REQUIRE(outcome.replays == plan.replays());
      run.push_back(plan);
    }
    CHECK(seconds_before == 0);  // the last budget keeps everything
  }
}

}  // namespace

TEST_CASE("planners: ten budgets on mlp", "[planners]") { check_budgets("mlp"); }
TEST_CASE("planners: ten budgets on lenet", "[planners]") { check_budgets("lenet"); }
TEST_CASE("planners: ten budgets on resnet18", "[planners]") { check_budgets("resnet18", DType::f32, 16); }
TEST_CASE("planners: ten budgets on chain", "[planners]") { check_budgets("chain"); }
TEST_CASE("planners: ten budgets on gpt", "[planners]") {
  check_budgets("gpt");
  check_budgets("gpt", DType::bf16);
}

TEST_CASE("planners: ten budgets on resnet50", "[planners][slow]") { check_budgets("resnet50"); }
