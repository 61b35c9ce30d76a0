// Traces and plans: the step as data, judged by the engine itself.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <random>

#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/random_plan.h"

using namespace reprise;

namespace {

const Device cpu = Device::cpu();

// A step with what a trace has to get right: views, factories inside, user code beside the tape, named temporaries,
// untracked ops, a value used twice, handles that die early and late.
struct Program {
  Tensor w = Tensor::randn({16, 16}), x = Tensor::randn({16, 16});
  int blocks = 8;
  bool penalty = false;

  Program() { w.set_requires_grad(true); }

  Tensor block(Tensor h) const {
    Tensor mask = relu(Tensor::rand({16, 16}));  // made inside, untracked
    Tensor a = relu(h * w + h);
    Tensor left = a.slice(0, 8), right = a.slice(8, 16);
    Tensor product = left * right;
    {
      const NoGrad no_grad;
      const Tensor beside = product + product;  // user code beside the tape
    }
    Tensor z = a.reshape({256}) * mask.reshape({256});
    return z.reshape({16, 16}) * 0.3 + h * 0.5 + sum(product) * 1e-3;
  }
  void step(Tape& tape) const {
    Tensor h = x;
    for (int k = 0; k < blocks; ++k) h = block(std::move(h));
    Tensor loss = sum(h * h);
    if (penalty) {
      auto [gradient] = tape.gradients(loss, {w}, {.create_graph = true});
      Tensor total = loss + sum(gradient * gradient);
      tape.backward(total);
      return;
    }
    tape.backward(loss);
  }
  checkpoint::Step as_step() const {
    return [this](Tape& tape) { step(tape); };
  }
};

struct Measured {
  std::size_t peak;
  std::int64_t replays;
  std::vector<double> gradient;
};

Measured run(const Program& program, const Plan* plan) {
  manual_seed(7);
  program.w.set_grad({});
  memory::reset_peak(cpu);
  Measured measured{};
  {
    Tape tape(plan ? TapeOptions{.plan = *plan} : TapeOptions{});
    program.step(tape);
    measured.replays = tape.replays();
  }
  measured.peak = memory::peak_without_data(cpu);
  measured.gradient = program.w.grad().to_vector();
  program.w.set_grad({});
  return measured;
}

}  // namespace

TEST_CASE("simulated peak and replays are the measured ones, for random plans", "[engine][checkpoint]") {
  const unsigned seed = 11;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Program program;
  program.penalty = GENERATE(false, true);
  INFO("penalty " << program.penalty);
  const Measured plain = run(program, nullptr);
  REQUIRE(std::isfinite(plain.gradient[0]));
  const Trace trace = checkpoint::trace(program.as_step());
  std::int64_t replays = 0;
  for (int i = 0; i < 60; ++i) {
    INFO("plan " << i);
    Plan plan = program.penalty ? checkpoint::sqrt_planner(trace, {}) : random_plan(trace, random, 6);
    const checkpoint::Simulation simulation = checkpoint::simulate(trace, plan);
    const Measured measured = run(program, &plan);
    REQUIRE(simulation.peak_bytes == measured.peak);
    REQUIRE(simulation.replays == measured.replays);
    REQUIRE(measured.gradient == plain.gradient);
    replays += measured.replays;
    if (program.penalty) break;
  }
  REQUIRE(replays > 0);
}

TEST_CASE("a trace changes nothing and sees the step once", "[engine][checkpoint]") {
  Program program;
  manual_seed(3);
  const RandomAddress before = random_state();
  const std::size_t live = memory::live(cpu), peak = memory::peak(cpu);
  int calls = 0;
  const Trace trace = checkpoint::trace([&](Tape& tape) {
    ++calls;
    program.step(tape);
  });
  CHECK(calls == 1);
  CHECK(random_state().offset == before.offset);
  CHECK(memory::live(cpu) == live);
  CHECK(memory::peak(cpu) == peak);
  CHECK_FALSE(program.w.grad().defined());
  const checkpoint::Simulation none = checkpoint::simulate(trace, checkpoint::PlanBuilder(trace).finish());
  CHECK(none.peak_bytes == run(program, nullptr).peak);
  CHECK(none.replays == 0);
  CHECK(none.live.size() > trace.nodes.size());
}

TEST_CASE("a step that accumulates into gradients is predicted too", "[engine][checkpoint]") {
  Program program;
  program.w.set_grad(Tensor::ones({16, 16}));
  const Trace trace = checkpoint::trace(program.as_step());
  memory::reset_peak(cpu);
  {
    Tape tape;
    program.step(tape);
  }
  CHECK(checkpoint::simulate(trace, checkpoint::PlanBuilder(trace).finish()).peak_bytes ==
        memory::peak_without_data(cpu));
}

TEST_CASE("a seed that only the walk holds dies in it, in the prediction too", "[engine][checkpoint]") {
  const bool held = GENERATE(false, true);
  INFO("held " << held);
  Program program;
  const auto step = [&](Tape& tape) {
    Tensor h = program.block(program.block(program.x));
    Tensor seed = Tensor::ones({16, 16});
    tape.backward(h, {.seed = held ? seed : std::move(seed)});
  };
  const Trace trace = checkpoint::trace(step);
  memory::reset_peak(cpu);
  {
    Tape tape;
    step(tape);
  }
  CHECK(checkpoint::simulate(trace, checkpoint::PlanBuilder(trace).finish()).peak_bytes ==
        memory::peak_without_data(cpu));
}

TEST_CASE("the sqrt planner meets a budget, or says what it would need", "[checkpoint]") {
  Program program;
  program.blocks = 16;
  const Measured plain = run(program, nullptr);
  const Trace trace = checkpoint::trace(program.as_step());
  const Plan free = checkpoint::plan(trace, {.budget = plain.peak});
  CHECK(free.replays() == 0);
  const Plan unbounded = checkpoint::plan(trace);
  CHECK(unbounded.replays() > 0);
  CHECK(unbounded.predicted_peak() < plain.peak);
  const std::size_t budget = (unbounded.predicted_peak() + plain.peak) / 2;
  const Plan tight = checkpoint::plan(program.as_step(), {.budget = budget});
  CHECK(tight.predicted_peak() <= budget);
  const Measured measured = run(program, &tight);
  CHECK(measured.peak == tight.predicted_peak());
  CHECK(measured.replays == tight.replays());
  CHECK(measured.gradient == plain.gradient);
  CHECK_THROWS_WITH(checkpoint::plan(trace, {.budget = 1000}), Catch::Contains("over the budget of 1000"));
}

TEST_CASE("a planner of one's own is judged before anything runs, then obeyed", "[checkpoint]") {
  Program program;
  const auto every_fourth = [](const Trace& trace, const checkpoint::PlanOptions&) {
    checkpoint::PlanBuilder builder(trace);
    for (std::int32_t i = 0; i + 4 <= static_cast<std::int32_t>(trace.nodes.size()); i += 4)
      builder.region(i, i + 4);
    return std::move(builder).finish();
  };
  const Plan plan = checkpoint::plan(program.as_step(), {.planner = every_fourth});
  const Measured measured = run(program, &plan);
  CHECK(measured.peak == plan.predicted_peak());
  CHECK(measured.replays == plan.replays());
}

TEST_CASE("plans and traces are files", "[readers][checkpoint]") {
  Program program;
  const Trace trace = checkpoint::trace(program.as_step());
  std::mt19937 random(5);
  Plan plan = random_plan(trace, random, 6);
  plan.set_prediction(123, 4);
  const std::string path = "checkpoint_plan_test.json";
  plan.save(path);
  const Plan loaded = Plan::load(path);
  CHECK(loaded.regions == plan.regions);
  CHECK(loaded.decisions == plan.decisions);
  CHECK(loaded.nodes == plan.nodes);
  CHECK(loaded.predicted_peak() == 123);
  CHECK(loaded.replays() == 4);
  CHECK_THROWS_WITH(Trace::load(path), Catch::Contains(path) && Catch::Contains("not a reprise trace"));
  trace.save(path);
  const Trace back = Trace::load(path);
  CHECK(back.nodes.size() == trace.nodes.size());
  CHECK(back.events.size() == trace.events.size());
  CHECK(checkpoint::sqrt_planner(back, {}).regions == checkpoint::sqrt_planner(trace, {}).regions);
  CHECK_THROWS_WITH(checkpoint::simulate(back, plan), Catch::Contains("holds no ops"));
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::fputs(
      "{\"format\": \"reprise plan\", \"regions\": [[5, 2, false]], \"predicted_peak\": 1, \"replays\": 0}",
      file);
  std::fclose(file);
  CHECK_THROWS_WITH(Plan::load(path), Catch::Contains("[5, 2)"));
  std::remove(path.c_str());
  CHECK_THROWS_AS(Plan::load(path), FileError);
}

TEST_CASE("plans are compared, and checked against a step", "[checkpoint]") {
  Program program;
  const Trace trace = checkpoint::trace(program.as_step());
  checkpoint::PlanBuilder first(trace), second(trace);
  first.region(0, 4);
  first.region(4, 9);
  second.region(0, 4);
  second.region(5, 9);
  second.decide(trace.nodes[6].outputs[0], Decision::keep);
  const Plan a = std::move(first).finish(), b = std::move(second).finish();
  CHECK(checkpoint::diff(a, a).empty());
  CHECK(checkpoint::diff(a, b) == "- region [4, 9)\n+ region [5, 9)\n+ keep output 0 of node 6\n");
  CHECK_NOTHROW(checkpoint::validate(a, trace));
  Program shorter;
  shorter.blocks = 7;
  const Trace other = checkpoint::trace(shorter.as_step());
  // The step's end comes where the eighth block was: there it differs first.
  std::size_t n = 0;
  while (n < other.nodes.size() && other.nodes[n].op == trace.nodes[n].op) ++n;
  CHECK(n > 7 * trace.nodes.size() / 9);
  CHECK_THROWS_WITH(checkpoint::validate(a, other), Catch::Contains("node " + std::to_string(n) + " is"));
  CHECK_THAT(checkpoint::diff(a, checkpoint::PlanBuilder(other).finish()),
             Catch::Contains("for different steps: node " + std::to_string(n)));
}

TEST_CASE("a plan builder refuses what does not nest or is not on the tape", "[checkpoint]") {
  Program program;
  const Trace trace = checkpoint::trace(program.as_step());
  checkpoint::PlanBuilder overlapping(trace);
  overlapping.region(0, 5);
  overlapping.region(3, 8);
  CHECK_THROWS_AS(std::move(overlapping).finish(), UserError);
  checkpoint::PlanBuilder outside(trace);
  outside.region(0, static_cast<std::int32_t>(trace.nodes.size()) + 1);
  CHECK_THROWS_AS(std::move(outside).finish(), UserError);
  checkpoint::PlanBuilder builder(trace);
  CHECK_THROWS_WITH(builder.decide(-1, Decision::keep), Catch::Contains("value -1"));
}
