// Plans of steps with an unusual shape: several backwards, none, unused leaves, gradients that are there already.
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reprise/checkpoint/checkpoint.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/simulate.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

const Device cpu = Device::cpu();

Tensor chain(Tensor h, int length) {
  for (int i = 0; i < length; ++i) h = squash(sine(std::move(h)));
  return h;
}

struct Run {
  std::size_t peak;
  std::int64_t replays;
  bool match;
};
Run run(const checkpoint::Step& step, const Plan& plan) {
  memory::reset_peak(cpu);
  Tape tape({.plan = plan});
  step(tape);
  return {memory::peak_without_data(cpu), tape.replays(), tape.plan_shapes_match()};
}

// Every planner's plan of the step runs as predicted and gives the bits of the step without a plan.
void check_planned(const checkpoint::Step& step, const std::vector<Tensor>& leaves) {
  release_grads(leaves);
  {
    Tape tape;
    step(tape);
  }
  const Bits expected = bits(grads(leaves));
  for (const std::string_view name : checkpoint::planner_names()) {
    INFO(name);
    release_grads(leaves);
    const Plan plan = checkpoint::plan(step, {.planner = checkpoint::planner_by_name(name)});
    const Run ran = run(step, plan);
    CHECK(ran.peak == plan.predicted_peak());
    CHECK(ran.replays == plan.replays());
    CHECK(bits(grads(leaves)) == expected);
  }
  release_grads(leaves);
}

}  // namespace

TEST_CASE("plans of a step that asks for the gradient of a leaf that it uses nowhere", "[checkpoint]") {
  const Tensor x = random_leaf({64}, 1), unused = random_leaf({64}, 2), early = random_leaf({64}, 3);
  check_planned(
      [&](Tape& tape) {
        const Tensor beside = sine(early);  // on the tape, but the loss does not depend on the leaf
        const Tensor loss = sum(chain(x, 8));
        const auto [a, b, c] =
            tape.gradients(loss, {unused, x, early}, {.retain_graph = true, .allow_unused = true});
        CHECK_FALSE(a.defined());
        CHECK(b.defined());
        CHECK_FALSE(c.defined());
        tape.backward(loss);
      },
      {x});
}

TEST_CASE("plans of steps with several losses, with a leaf as loss, and without any", "[checkpoint]") {
  const Tensor x = random_leaf({64}, 1), y = random_leaf({64}, 2), scalar = random_leaf({}, 3);
  check_planned(
      [&](Tape& tape) {
        const Tensor trunk = chain(x, 6);
        const Tensor first = sum(chain(trunk, 2)), second = sum(chain(trunk * y, 2));
        tape.backward(first, {.retain_graph = true});
        tape.backward(second);
      },
      {x, y});
  check_planned(
      [&](Tape& tape) {
        tape.backward(sum(chain(x, 4)));
        tape.backward(sum(chain(y, 4)));
      },
      {x, y});
  check_planned([&](Tape& tape) { tape.backward(scalar); }, {scalar});
  check_planned([&](Tape&) { chain(x, 6); }, {x});
  check_planned([&](Tape&) {}, {x});
}

TEST_CASE("a step that calls backward wrongly is a UserError in its trace, as it is without",
          "[checkpoint]") {
  const Tensor x = random_leaf({4}, 1);
  CHECK_THROWS_WITH(checkpoint::plan([&](Tape& tape) { tape.backward({}); }), Contains("undefined"));
  CHECK_THROWS_WITH(checkpoint::plan([&](Tape& tape) { tape.gradients(sum(sine(x)), {Tensor()}); }),
                    Contains("input 0 is undefined"));
  CHECK_THROWS_WITH(checkpoint::plan([&](Tape& tape) { tape.backward(sine(x)); }),
                    Contains("not one element"));
}

TEST_CASE("a step that recovers from a refused backward is planned", "[checkpoint]") {
  const Tensor x = random_leaf({64}, 1), unused = random_leaf({64}, 2);
  check_planned(
      [&](Tape& tape) {
        const Tensor loss = sum(chain(x, 6));
        CHECK_THROWS_AS(tape.gradients(loss, {unused}), UserError);
        tape.backward(loss);
      },
      {x});
}

TEST_CASE("a step like a GAN's is planned in each of its forward passes", "[checkpoint]") {
  const Tensor g = random_leaf({1024}, 1), d = random_leaf({1024}, 2), real = random_constant({1024}, 3);
  const checkpoint::Step step = [&](Tape& tape) {
    const auto generator = [&] { return chain(g, 12); };
    const auto critic = [&](const Tensor& x) { return sum(chain(x * d, 12)); };
    tape.backward(critic(real));
    const Tensor fake = generator();
    tape.backward(critic(fake.detach()));
    tape.backward(critic(fake));
  };
  const std::vector<Tensor> leaves = {g, d};
  check_planned(step, leaves);
  {
    Tape tape;
    step(tape);
  }
  const Bits expected = bits(grads(leaves));
  release_grads(leaves);
  const std::size_t base = memory::live(cpu),
                    all = checkpoint::plan(step, {.budget = SIZE_MAX}).predicted_peak();
  const std::size_t budget = base + (all - base) * 6 / 10;
  const Plan plan = checkpoint::plan(step, {.budget = budget});
  CHECK(std::any_of(plan.regions.begin(), plan.regions.end(),
                    [](const PlanRegion& r) { return r.first > 25; }));
  const Run ran = run(step, plan);
  CHECK(ran.peak == plan.predicted_peak());
  CHECK(ran.peak <= budget);
  CHECK(ran.replays == plan.replays());
  CHECK(bits(grads(leaves)) == expected);
  release_grads(leaves);
  CHECK_THROWS_WITH(checkpoint::plan(step, {.budget = base + 1}),
                    Contains("come after the first backward") && Contains("OnlineEviction"));
  const checkpoint::Step single = [&](Tape& tape) { tape.backward(sum(chain(g, 30))); };
  CHECK_THROWS_WITH(checkpoint::plan(single, {.budget = 1}), !Contains("first backward"));
}

TEST_CASE("a step with create_graph is planned behind its first backward too", "[checkpoint]") {
  const Tensor w = random_leaf({256}, 1);
  check_planned(
      [&](Tape& tape) {
        const Tensor loss = sum(chain(w, 9));
        const auto [gradient] = tape.gradients(loss, {w}, {.create_graph = true});
        tape.backward(loss + sum(chain(gradient, 9)));
      },
      {w});
}

TEST_CASE("activations: a budget above what lives when the step begins", "[checkpoint]") {
  const Tensor x = random_leaf({1024}, 1);
  Tensor data;
  {
    const memory::TagScope tag(memory::Tag::data);
    data = Tensor::zeros({1 << 20});
  }
  const checkpoint::Step step = [&](Tape& tape) { tape.backward(sum(chain(x, 30))); };
  const std::size_t base = memory::live(cpu) - memory::by_tag(cpu)["data"];
  const std::size_t activations = 24 * x.bytes();
  const Plan plan = checkpoint::plan(step, {.activations = activations});
  CHECK(plan.budget == base + activations);
  CHECK(plan.replays() > 0);
  CHECK(plan.predicted_peak() <= base + activations);
  CHECK(run(step, plan).peak == plan.predicted_peak());
  release_grads({&x, 1});
  CHECK_THROWS_WITH(checkpoint::plan(step, {.activations = 4}), Contains("over the budget"));
  CHECK_THROWS_WITH(checkpoint::plan(step, {.budget = base, .activations = 4}),
                    Contains("give one of the two"));
  CHECK(checkpoint::plan(step, {.activations = SIZE_MAX}).replays() == 0);
}

TEST_CASE(
    "a plan for steps that begin with gradients predicts them, and one without says when it does not hold",
    "[checkpoint]") {
  const Tensor x = random_leaf({1024}, 1), y = random_leaf({1024}, 2);
  x.set_name("x");
  const checkpoint::Step step = [&](Tape& tape) { tape.backward(sum(chain(x * y, 30))); };
  const Plan first = checkpoint::plan(step), later = checkpoint::plan(step, {.gradients = true});
  CHECK(first.gradient_bytes == 0);
  CHECK(later.gradient_bytes == x.bytes() + y.bytes());
  CHECK(run(step, first).peak == first.predicted_peak());  // x and y have gradients from here on
  const Run again = run(step, first);
  CHECK_FALSE(again.match);
  CHECK(again.peak > first.predicted_peak());
  const Run planned = run(step, later);
  CHECK(planned.match);
  CHECK(planned.peak == later.predicted_peak());
  CHECK(checkpoint::plan(step).predicted_peak() ==
        later.predicted_peak());  // made when the gradients are there

  const std::size_t budget = first.predicted_peak();
  release_grads(std::vector<Tensor>{x, y});
  const Plan tight = checkpoint::plan(step, {.budget = budget});
  CHECK(run(step, tight).match);
  Tape tape({.plan = tight});
  CHECK_THROWS_WITH(step(tape),
                    Contains("x f64[1024] holds a gradient already") && Contains(".gradients = true"));
  CHECK(tape.nodes() == 0);
  release_grads(std::vector<Tensor>{x, y});
  step(tape);
  CHECK(tape.plan_shapes_match());
}

TEST_CASE("a gradient made with create_graph: the next step's backward names create_graph", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  x.set_name("x");
  {
    Tape tape;
    tape.backward(sum(squash(x)), {.create_graph = true});
  }
  const Bits once = bits(x.grad());
  {
    Tape tape;
    const Tensor loss = sum(squash(x));
    CHECK_THROWS_WITH(tape.backward(loss, {.retain_graph = true, .create_graph = true}),
                      Contains(".grad of x f64[4]") && Contains("create_graph") && Contains("zero_grad()"));
    CHECK(bits(x.grad()) == once);
    tape.backward(loss);  // adds up, and the sum is a plain gradient again
    CHECK_FALSE(x.grad().requires_grad());
  }
  Tape tape;
  const Tensor used = sum(x.grad() * x);
  tape.backward(used);
  CHECK(x.grad().to_vector()[0] == Approx(4 * std::bit_cast<double>(once[0])));
}
