// What to keep at a price, against every choice there is; the graph planner on graphs that are no chains.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "reprise/checkpoint/candidates.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/checkpoint/keep_sets.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// Nodes of one output each that read one or two earlier ones; value 0 is made outside.
Trace random_graph(int nodes, std::mt19937& random) {
  Trace trace;
  const auto add_value = [&](std::int32_t maker, std::size_t bytes) {
    TraceValue value{};
    value.bytes = bytes;
    value.storage = static_cast<std::int32_t>(trace.values.size());
    value.maker = maker;
    trace.values.push_back(value);
  };
  add_value(-1, 8);
  for (std::int32_t n = 0; n < nodes; ++n) {
    TraceNode node;
    node.op = "op";
    node.tracked = true;
    node.seconds = static_cast<double>(1 + random() % 9);
    for (unsigned i = 0; i < 1 + random() % 2; ++i)
      node.inputs.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(n + 1)));
    node.outputs.push_back(n + 1);
    if (random() % 2) node.saved.push_back(node.inputs[0]);
    if (random() % 3 == 0) node.saved.push_back(n + 1);
    add_value(n, 1 + random() % 9);
    trace.nodes.push_back(std::move(node));
    trace.events.push_back({TraceEvent::Kind::node, n});
  }
  return trace;
}

// Price of what is kept and seconds of what must run again, from the definition.
double cost(const Trace& trace, const std::vector<bool>& kept, double price) {
  std::vector<bool> wanted(trace.values.size());
  for (const TraceNode& node : trace.nodes)
    for (const std::int32_t v : node.saved) wanted[static_cast<std::size_t>(v)] = true;
  double sum = 0;
  for (std::size_t n = trace.nodes.size(); n-- > 0;) {
    const auto v = static_cast<std::size_t>(trace.nodes[n].outputs[0]);
    if (kept[v]) sum += price * static_cast<double>(trace.values[v].bytes);
    if (kept[v] || !wanted[v]) continue;
    sum += trace.nodes[n].seconds;
    for (const std::int32_t in : trace.nodes[n].inputs) wanted[static_cast<std::size_t>(in)] = true;
  }
  return sum;
}

// Encoder and decoder with a connection across at each level, in f64.
struct Ladder {
  Tensor x = random_leaf({8, 64}, 1);
  int levels = 6;
  checkpoint::Step step() const {
    return [this](Tape& tape) {
      std::vector<Tensor> across;
      Tensor h = x;
      for (int k = 0; k < levels; ++k) {
        h = squash(sine(std::move(h)));
        across.push_back(h);
      }
      for (int k = 0; k < levels; ++k) {
        h = sine(std::move(h) * across.back());
        across.pop_back();
      }
      tape.backward(sum(std::move(h)));
    };
  }
};

}  // namespace

TEST_CASE("at every price the keep set is the cheapest there is", "[planners]") {
  const unsigned seed = 17;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  int some_kept = 0;
  for (int round = 0; round < 200; ++round) {
    const int nodes = 1 + round % 8;
    const Trace trace = random_graph(nodes, random);
    const double price = static_cast<double>(1 + random() % 16) / 4;
    INFO("graph " << round << ", price " << price);
    double least = 1e300;
    for (unsigned set = 0; set < 1U << nodes; ++set) {
      std::vector<bool> kept(trace.values.size());
      for (int n = 0; n < nodes; ++n) kept[static_cast<std::size_t>(n) + 1] = set >> n & 1U;
      least = std::min(least, cost(trace, kept, price));
    }
    std::vector<bool> kept(trace.values.size());
    const checkpoint::KeepSet found = checkpoint::cheapest_keep_set(trace, price);
    for (const PlanDecision& decision : found.kept) kept[static_cast<std::size_t>(decision.node) + 1] = true;
    CHECK(cost(trace, kept, price) == least);
    some_kept += !found.kept.empty() &&
                 std::find(found.runs_again.begin(), found.runs_again.end(), true) != found.runs_again.end();
  }
  CHECK(some_kept > 20);
}

TEST_CASE("a graph with connections across it is planned within budgets", "[planners]") {
  const Ladder ladder;
  const Trace trace = checkpoint::trace(ladder.step());
  const auto run = [&](const Plan& plan) {
    ladder.x.set_grad({});
    memory::reset_peak(Device::cpu());
    Tape tape({.plan = plan});
    ladder.step()(tape);
    CHECK(memory::peak_without_data(Device::cpu()) == plan.predicted_peak());
    CHECK(tape.replays() == plan.replays());
    return bits(ladder.x.grad());
  };
  Plan nothing = checkpoint::plan_of(trace, {});
  const std::size_t all = checkpoint::simulate(trace, nothing).peak_bytes;
  nothing.set_prediction(all, 0);
  const Bits gradient = run(nothing);
  for (const std::string_view name : {"graph", "auto", "rotor"}) {
    INFO(name);
    const checkpoint::Planner planner = checkpoint::planner_by_name(name);
    const std::size_t least = planner(trace, {.budget = 1}).predicted_peak();
    CHECK(least < all);
    for (std::size_t i = 0; i < 10; ++i) {
      const std::size_t budget = least + (all - least) * i / 9;
      const Plan plan = checkpoint::plan(trace, {.budget = budget, .planner = planner});
      CHECK(plan.predicted_peak() <= budget);
      CHECK(run(plan) == gradient);
    }
  }
}

TEST_CASE("auto is as good as any of the planners that it asks", "[planners]") {
  const Ladder ladder;
  const Trace trace = checkpoint::trace(ladder.step());
  const std::size_t all = checkpoint::simulate(trace, checkpoint::plan_of(trace, {})).peak_bytes;
  const std::size_t least = checkpoint::auto_planner(trace, {.budget = 1}).predicted_peak();
  for (const std::string_view name : checkpoint::planner_names())
    CHECK(least <= checkpoint::planner_by_name(name)(trace, {.budget = 1}).predicted_peak());
  for (std::size_t i = 0; i < 10; ++i) {
    const std::size_t budget = least + (all - least) * i / 9;
    const auto seconds = [&](const Plan& plan) { return checkpoint::simulate(trace, plan).replayed_seconds; };
    const Plan best = checkpoint::auto_planner(trace, {.budget = budget});
    for (const std::string_view name : {"sqrt", "graph", "rotor"}) {
      const Plan plan = checkpoint::planner_by_name(name)(trace, {.budget = budget});
      if (plan.predicted_peak() <= budget) CHECK(seconds(best) <= seconds(plan));
    }
  }
  CHECK_THROWS_WITH(checkpoint::plan(trace, {.budget = least - 1}), Catch::Contains(std::to_string(least)));
  CHECK_THROWS_WITH(checkpoint::planner_by_name("best"), Catch::Contains("rotor"));
}
