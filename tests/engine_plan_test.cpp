// Plans in force on a tape: they win over regions in code, they never decide correctness, and a dry run under one leaves
// no trace.
#include <catch2/catch.hpp>
#include <optional>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

Plan plan_without_regions(ResidualBlocks& model) {
  model.reset();
  return plan_for([&] { return model.forward(Style::none); });
}

}  // namespace

TEST_CASE("a plan wins over regions in code", "[engine]") {
  ResidualBlocks model(3);
  Plan plan = plan_without_regions(model);
  const std::size_t peak_without = peak_of([&] { CHECK(model.step(Style::none) == 0); });
  model.reset();
  CHECK(peak_of([&] { CHECK(model.step(Style::deep, {.plan = plan}) == 0); }) == peak_without);
  plan.regions = {{0, static_cast<std::int32_t>(plan.nodes.size())}};
  const std::int64_t replays = model.step(Style::none, {.plan = plan});
  CHECK(replays > 0);
  CHECK(model.step(Style::deep, {.plan = plan}) == replays);
}

TEST_CASE("a plan for other shapes gives the right bits and says that its peak is void", "[engine]") {
  ResidualBlocks planned(4, 8), smaller(4, 6);
  Plan plan = plan_without_regions(planned);
  const auto nodes = static_cast<std::int32_t>(plan.nodes.size());
  plan.regions = {{0, nodes / 2}, {nodes / 2, nodes - 2}};
  smaller.step(Style::none);
  const Bits expected = smaller.gradients();
  for (ResidualBlocks* model : {&planned, &smaller}) {
    model->reset();
    Tape tape({.plan = plan});
    const Tensor loss = model->forward(Style::none);
    CHECK(tape.plan_shapes_match() == (model == &planned));
    tape.backward(loss);
    CHECK(tape.replays() > 0);
  }
  CHECK(smaller.gradients() == expected);
}

TEST_CASE("a plan for another program is refused at the first difference, before the op runs", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Plan plan = plan_for([&] { return sum(sine(squash(x))); });
  plan.regions = {{0, 2}};
  {
    Tape tape({.plan = plan});
    Tensor h = squash(x);
    const std::size_t before = live_bytes();
    CHECK_THROWS_WITH(squash(h), Contains("node 1 is squash") && Contains("sine there"));
    CHECK(tape.nodes() == 1);
    CHECK(live_bytes() == before);
    const Tensor loss = sum(sine(std::move(h)));  // as planned after all
    CHECK_THROWS_WITH(sine(loss), Contains("node 3 is sine") && Contains("a step of 3 nodes"));
    tape.backward(loss);
    CHECK(tape.replays() == 1);
  }
  release_grads({&x, 1});
  Tape tape({.plan = plan});  // a step that ends early
  const Tensor h = squash(x);
  tape.backward(h, {.seed = Tensor::ones({4}, {.dtype = DType::f64})});
  CHECK(x.grad().defined());
}

TEST_CASE("a plan whose regions do not nest is refused", "[engine]") {
  ResidualBlocks model(2);
  Plan plan = plan_without_regions(model);
  plan.regions = {{0, 5}, {3, 8}};
  CHECK_THROWS_WITH(plan.validate(), Contains("[3, 8)"));
  plan.regions = {{3, 3}};
  CHECK_THROWS_AS(plan.validate(), UserError);
  plan.regions = {{0, static_cast<std::int32_t>(plan.nodes.size()) + 1}};
  CHECK_THROWS_AS(plan.validate(), UserError);
}

TEST_CASE("a value that a plan offloads in an inner region asks for no boundary once the outer one is open",
          "[engine]") {
  // In one region: h = 2 x; an inner region that reads h and offloads its output; and sine, which saves that output.
  const Tensor x = random_leaf({64}, 1);
  const auto loss_of = [&] {
    Tensor h = x * 2.0;
    return sum(sine(squash(h + h)));
  };
  Plan plan = plan_for(loss_of);
  {
    Tape tape;
    tape.backward(loss_of());
  }
  const Bits expected = bits(x.grad());
  REQUIRE(plan.nodes.size() == 5);  // mul_scalar, add, squash, sine, sum
  plan.regions = {{0, 4, true}, {1, 3}};
  plan.decisions = {{2, 0, Decision::offload}};
  release_grads({&x, 1});
  Tape tape({.plan = plan});
  const Tensor loss = loss_of();
  CHECK(offloaded_bytes() == x.bytes());
  tape.backward(loss);
  // Everything that a backward reads is fetched: the inner region needs no h, so nothing is made again.
  CHECK(tape.replays() == 0);
  CHECK(offloaded_bytes() == 0);
  CHECK(bits(x.grad()) == expected);
}

TEST_CASE("an eager region replays as soon as it is opened; the bits stay", "[engine]") {
  struct Order : Observer {
    std::string events;
    void on(Event event, NodeId, const Tensor*, const Tensor*) override {
      if (event == Event::replay) events += 'r';
      if (event == Event::backward) events += 'b';
    }
  };
  const Tensor x = random_leaf({16}, 1);
  // Two halves that do not need each other.
  const auto loss_of = [&] { return sum(squash(sine(x)) + squash(sine(x * 2.0))); };
  Plan plan = plan_for(loss_of);
  {
    Tape tape;
    tape.backward(loss_of());
  }
  const Bits expected = bits(x.grad());
  REQUIRE(plan.nodes.size() == 7);
  for (const bool eager : {false, true}) {
    release_grads({&x, 1});
    plan.regions = {{0, 6, eager}};
    Order order;
    Tape tape({.plan = plan});
    const Tensor loss = loss_of();
    tape.set_observer(&order);
    tape.backward(loss);
    CHECK(bits(x.grad()) == expected);
    CHECK(tape.replays() == 5);
    // sum | add | squash, sine, mul_scalar | squash, sine (in which order C++ evaluates the halves does not matter).
    if (eager)
      CHECK(order.events == "brrrrrbbbbbb");
    else
      CHECK((order.events == "bbrrrbbbrrbb" || order.events == "bbrrbbrrrbbb"));
  }
}

TEST_CASE("a dry run leaves no trace", "[engine]") {
  ResidualBlocks model(3);
  const auto accumulate = [&] {
    Tape tape;
    const Tensor loss = model.forward(Style::deep);
    tape.backward(loss);
    return tape.replays();
  };
  model.reset();
  accumulate();
  accumulate();
  const Bits expected = model.gradients();

  model.reset();
  accumulate();
  const Bits once = model.gradients();
  std::vector<const TensorImpl*> handles;
  std::vector<std::uint32_t> versions;
  for (const Tensor& leaf : model.leaves) {
    handles.push_back(leaf.grad().impl().get());
    versions.push_back(leaf.impl()->storage->version);
  }
  const RandomAddress random = random_state();
  const std::size_t live = live_bytes();
  memory::reset_peak(Device::cpu());
  {
    const DryRun dry;
    CHECK(is_dry_run());
    accumulate();
    CHECK_THROWS_AS(model.leaves[0].grad().item(), UserError);
  }
  CHECK_FALSE(is_dry_run());
  CHECK(random_state().seed == random.seed);
  CHECK(random_state().offset == random.offset);
  CHECK(live_bytes() == live);
  CHECK(memory::peak(Device::cpu()) == live);
  CHECK(offloaded_bytes() == 0);
  CHECK(model.gradients() == once);
  for (std::size_t i = 0; i < model.leaves.size(); ++i) {
    CHECK(model.leaves[i].grad().impl().get() == handles[i]);
    CHECK(model.leaves[i].impl()->storage->version == versions[i]);
  }
  accumulate();
  CHECK(model.gradients() == expected);
}

TEST_CASE("a tensor made in a dry run cannot be used afterwards, nor read in it", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tensor made;
  {
    const DryRun dry;
    Tape tape;
    made = sine(x);
    CHECK_THROWS_AS(made.to_vector(), UserError);
  }
  CHECK_THROWS_WITH(sine(made), Contains("dry run"));
}
