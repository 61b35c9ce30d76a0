// A failure at every allocation, one after another: what threw changed nothing, no bytes stay behind, `.grad` is untouched,
// and the same tape gives the right bits when it is asked again.
#include <catch2/catch.hpp>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// The n-th allocation from now fails. False: it had fewer.
bool fails_at(std::int64_t n, const std::function<void()>& f) {
  memory::fail_after(n);
  bool failed = false;
  try {
    f();
  } catch (const OutOfMemory&) {
    failed = true;
  } catch (...) {
    memory::fail_after(-1);
    throw;
  }
  memory::fail_after(-1);
  return failed;
}

struct Untouched {
  std::int64_t nodes;
  std::size_t values, slots, regions, live;
  explicit Untouched(const Tape& tape)
      : nodes(tape.nodes()),
        values(tape.state().values.size()),
        slots(tape.state().slots.size()),
        regions(tape.state().regions.size()),
        live(live_bytes()) {}
};

// In every style, with a model in which nothing has happened: the first allocation fails, then the second, until `attempt`
// has none left to fail. It says whether one did; afterwards the gradients are those of a step without a failure,
// and no bytes stay behind.
void fail_every_allocation(const std::function<bool(ResidualBlocks&, Style, std::int64_t)>& attempt) {
  ResidualBlocks model(3);
  model.step(Style::none);
  const Bits expected = model.gradients();
  model.reset();
  const std::size_t before = live_bytes();
  for (const Style style : kStyles) {
    INFO(name(style));
    std::int64_t injected = 0;
    for (bool failed = true; failed; injected += failed) {
      INFO("allocation " << injected);
      model.reset();
      failed = attempt(model, style, injected);
      CHECK(model.gradients() == expected);
      model.reset();
      CHECK(live_bytes() == before);
      CHECK(offloaded_bytes() == 0);
    }
    CHECK(injected > 3 * ResidualBlocks::kNodesForOutput);
  }
}

}  // namespace

TEST_CASE("a forward that fails at any allocation leaves a tape that can go on", "[engine][failure]") {
  fail_every_allocation([](ResidualBlocks& model, Style style, std::int64_t allocation) {
    Tape tape;
    Tensor loss;
    const bool failed = fails_at(allocation, [&] { loss = model.forward(style); });
    CHECK(tape.state().innermost == 0);
    if (failed) {
      manual_seed(7);
      loss = model.forward(style);
    }
    tape.backward(loss);
    return failed;
  });
}

TEST_CASE("a backward that fails at any allocation is as if never called, and can be called again",
          "[engine][failure]") {
  fail_every_allocation([](ResidualBlocks& model, Style style, std::int64_t allocation) {
    Tape tape;
    const Tensor loss = model.forward(style);
    const Untouched was(tape);
    const bool failed = fails_at(allocation, [&] { tape.backward(loss); });
    if (failed) {
      CHECK(model.gradients().empty());
      CHECK(tape.nodes() == was.nodes);
      CHECK(live_bytes() <= was.live);  // what a replay has to bring back may be gone
      tape.backward(loss);
    }
    CHECK_THROWS_AS(tape.backward(loss), UserError);
    return failed;
  });
}

TEST_CASE("a backward that fails twice, and one that was to retain the graph", "[engine][failure]") {
  ResidualBlocks model(3);
  model.step(Style::none);
  const Bits expected = model.gradients();
  for (const Style style : kStyles) {
    INFO(name(style));
    for (std::int64_t n = 0; n < 40; ++n) {
      model.reset();
      Tape tape;
      const Tensor loss = model.forward(style);
      const std::size_t held = live_bytes();
      REQUIRE(fails_at(n, [&] { tape.backward(loss, {.retain_graph = true}); }));
      REQUIRE(fails_at(40 - n, [&] { tape.backward(loss); }));
      tape.backward(loss, {.retain_graph = true});
      CHECK(model.gradients() == expected);
      release_grads(model.leaves);
      if (style != Style::offloaded)
        CHECK(live_bytes() == held);  // an offloaded copy that is gone comes back no more
      tape.backward(loss);
      CHECK(model.gradients() == expected);
    }
  }
}

TEST_CASE("a whole step into existing gradients that fails at any allocation leaves them as they were",
          "[engine][failure]") {
  ResidualBlocks model(3);
  model.reset();
  const auto accumulate = [&](Style style) {
    manual_seed(7);
    Tape tape;
    const Tensor loss = model.forward(style);
    tape.backward(loss);
  };
  accumulate(Style::none);
  const Bits once = model.gradients();
  accumulate(Style::none);
  const Bits twice = model.gradients();
  REQUIRE(once != twice);
  for (const Style style : {Style::none, Style::square_root, Style::offloaded}) {
    INFO(name(style));
    std::int64_t injected = 0;
    for (bool failed = true; failed;) {
      INFO("allocation " << injected);
      model.reset();
      accumulate(style);
      const std::size_t before = live_bytes();
      failed = fails_at(injected, [&] { accumulate(style); });
      CHECK(live_bytes() == before);
      if (failed) {
        ++injected;
        CHECK(model.gradients() == once);
        accumulate(style);
      }
      CHECK(model.gradients() == twice);
    }
    CHECK(injected > 6 * ResidualBlocks::kNodesForOutput);
  }
}

TEST_CASE("gradients that share a buffer and fail to get one each: none is committed", "[engine][failure]") {
  const std::vector<Tensor> leaves = {random_leaf({4}, 1), random_leaf({4}, 2), random_leaf({2, 2}, 3)};
  Tape tape;
  const Tensor loss = sum(leaves[0] + leaves[1] + reshape(leaves[2], {4}));
  std::int64_t injected = 0;
  while (fails_at(injected, [&] { tape.backward(loss); })) {
    INFO("allocation " << injected);
    ++injected;
    CHECK(bits(grads(leaves)).empty());
  }
  CHECK(injected >= 4);  // the seed, its spreading, and at least two buffers
  for (const Tensor& leaf : leaves) CHECK(leaf.grad().to_vector() == std::vector<double>(4, 1));
}

namespace {

// Without layer_norm, whose gradient op has no gradient.
Tensor twice_differentiable(const Tensor& w, bool regions) {
  using checkpoint::Policy;
  const Policy policy = regions ? Policy::full() : Policy::none();
  Tensor h = w;
  for (int k = 0; k < 3; ++k)
    h = checkpoint::run(policy, [&] {
      Tensor z = checkpoint::run(policy, [&] { return squash(matmul(h, w)); });
      return checkpoint::run(policy, [&] {
        Tensor b = dropout(z, 0.2);
        return b * squash(b * 0.7);
      });
    });
  return sum(h * h);
}

}  // namespace

TEST_CASE("create_graph that fails at any allocation appends nothing, and can be asked again",
          "[engine][failure]") {
  const Tensor w = random_leaf({8, 8}, 8);
  Bits first, second;
  const auto finish = [&](Tape& tape, const Tensor& loss, const Tensor& gradient) {
    const Tensor total = loss + sum(gradient * gradient);
    tape.backward(total);
  };
  {
    manual_seed(7);
    Tape tape;
    const Tensor loss = twice_differentiable(w, false);
    const auto [gradient] = tape.gradients(loss, {w}, {.create_graph = true});
    finish(tape, loss, gradient);
    first = bits(gradient);
    second = bits(w.grad());
  }
  for (const bool regions : {false, true}) {
    std::int64_t injected = 0;
    for (bool failed = true; failed;) {
      INFO((regions ? "regions" : "no regions") << ", allocation " << injected);
      release_grads({&w, 1});
      manual_seed(7);
      Tape tape;
      const Tensor loss = twice_differentiable(w, regions);
      const Untouched was(tape);
      Tensor gradient;
      failed = fails_at(injected, [&] { gradient = tape.gradients(loss, {w}, {.create_graph = true})[0]; });
      if (failed) {
        ++injected;
        CHECK(tape.nodes() == was.nodes);
        CHECK(tape.state().values.size() == was.values);
        CHECK(tape.state().slots.size() == was.slots);
        CHECK(tape.state().regions.size() == was.regions);
        CHECK(tape.state().innermost == 0);
        CHECK(live_bytes() <= was.live);
        gradient = tape.gradients(loss, {w}, {.create_graph = true})[0];
      }
      CHECK(bits(gradient) == first);
      finish(tape, loss, gradient);
      CHECK(bits(w.grad()) == second);
    }
    CHECK(injected > 30);
  }
}

TEST_CASE("backward with create_graph into existing gradients that fails leaves them all as they were",
          "[engine][failure]") {
  const std::vector<Tensor> leaves = {random_leaf({4}, 1), random_leaf({4}, 2), random_leaf({4}, 3)};
  const auto loss_of = [&] { return sum(sine(leaves[0] * leaves[1]) * leaves[2]); };
  Bits once, twice;
  {
    Tape tape;
    const Tensor loss = loss_of();
    tape.backward(loss, {.create_graph = true});
    once = bits(grads(leaves));
    tape.backward(loss, {.create_graph = true});
    twice = bits(grads(leaves));
  }
  std::int64_t injected = 0;
  for (bool failed = true; failed;) {
    INFO("allocation " << injected);
    release_grads(leaves);
    {
      Tape tape;
      const Tensor loss = loss_of();
      tape.backward(loss, {.create_graph = true});
      failed = fails_at(injected, [&] { tape.backward(loss, {.create_graph = true}); });
      if (failed) {
        ++injected;
        CHECK(bits(grads(leaves)) == once);
        tape.backward(loss, {.create_graph = true});
      }
      CHECK(bits(grads(leaves)) == twice);
    }
  }
  CHECK(injected > 5);
  release_grads(leaves);
}

TEST_CASE("an op that throws in a region, forward or replayed, leaves the tape usable", "[engine][failure]") {
  struct Flaky final : Op {
    std::shared_ptr<int> countdown;
    explicit Flaky(std::shared_ptr<int> c) : countdown(std::move(c)) {}
    std::string_view name() const override { return "flaky"; }
    std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0]}; }
    void forward(std::span<const ConstView> in, std::span<const View> out,
                 std::span<std::byte>) const override {
      if ((*countdown)-- == 0) throw DeviceError("flaky: the device was busy");
      for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i)
        out[0].as<double>()[i] = 3 * in[0].as<double>()[i];
    }
    std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
      return {gradients[0] * 3.0};
    }
  };
  const Tensor x = random_leaf({4}, 1);
  const auto countdown = std::make_shared<int>(-1);
  const auto loss_of = [&] {
    return sum(checkpoint::run([&] { return squash(record(Flaky(countdown), squash(x))); }));
  };
  {
    Tape tape;
    tape.backward(loss_of());
  }
  const Bits expected = bits(x.grad());
  release_grads({&x, 1});
  Tape tape;
  *countdown = 0;
  CHECK_THROWS_AS(loss_of(), DeviceError);
  const Tensor loss = loss_of();
  *countdown = 0;  // fails in the replay
  CHECK_THROWS_AS(tape.backward(loss), DeviceError);
  CHECK_FALSE(x.grad().defined());
  tape.backward(loss);
  CHECK(bits(x.grad()) == expected);
}
