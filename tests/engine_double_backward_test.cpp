// Gradients of gradients through nested regions: the backward of a region is a region too (its mirror), so that
// what a second backward reads is replayed as well.
#include <catch2/catch.hpp>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

enum class Regions { none, each, nested };
constexpr Regions kRegions[] = {Regions::none, Regions::each, Regions::nested};

// Blocks of ops that are differentiable twice.
Tensor loss_of(const Tensor& w, Regions regions, int blocks = 6) {
  using checkpoint::Policy;
  const Policy outer = regions == Regions::none ? Policy::none() : Policy::full();
  const Policy inner = regions == Regions::nested ? Policy::full() : Policy::none();
  Tensor h = w;
  for (int k = 0; k < blocks; ++k)
    h = checkpoint::run(outer, [&] {
      Tensor z = checkpoint::run(inner, [&] { return squash(matmul(std::move(h), w)); });
      return checkpoint::run(inner, [&] {
        Tensor b = dropout(std::move(z), 0.2);
        auto [s, c] = sincos(b * 0.7);
        return b * squash(std::move(s)) + sine(std::move(c)) * 0.1;
      });
    });
  return sum(h * h);
}

struct Second {
  Bits gradient, penalty;  // of the loss; of the loss and its squared gradient
  std::size_t live_after_first = 0, peak = 0;
  std::int64_t replays = 0;
};
// A gradient penalty: d/dw (loss + |d loss/dw|^2).
Second penalty_step(const Tensor& w, Regions regions) {
  Second result;
  release_grads({&w, 1});
  manual_seed(7);
  result.peak = peak_of([&] {
    const std::size_t before = live_bytes();
    Tape tape;
    const Tensor loss = loss_of(w, regions);
    auto [gradient] = tape.gradients(loss, {w}, {.create_graph = true});
    result.live_after_first = live_bytes() - before;
    const Tensor total = loss + sum(gradient * gradient);
    tape.backward(total);
    result.replays = tape.replays();
    result.gradient = bits(gradient);
  });
  result.penalty = bits(w.grad());
  return result;
}

}  // namespace

TEST_CASE("a gradient penalty: the same bits through regions, and a predicted peak", "[engine]") {
  const Tensor w = random_leaf({16, 16}, 8, 0.5);
  const Second plain = penalty_step(w, Regions::none);
  REQUIRE(plain.replays == 0);
  for (const Regions regions : kRegions) {
    INFO("regions " << static_cast<int>(regions));
    release_grads({&w, 1});
    Second dry;
    predict([&] { return (dry = penalty_step(w, regions)).replays; });
    const Second measured = penalty_step(w, regions);
    CHECK(measured.gradient == plain.gradient);
    CHECK(measured.penalty == plain.penalty);
    CHECK(dry.replays == measured.replays);
    CHECK(dry.peak == measured.peak);
    CHECK(dry.live_after_first == measured.live_after_first);
    if (regions != Regions::none) {
      // Of six blocks stays a boundary for the block and one for its mirror; without, twenty values each.
      CHECK(measured.live_after_first < 20 * w.bytes());
      CHECK(plain.live_after_first > 100 * w.bytes());
      CHECK(measured.peak < plain.peak * 3 / 5);
    }
  }
}

TEST_CASE("the gradient of a gradient penalty agrees with a central difference", "[engine]") {
  const Tensor w = random_leaf({4, 4}, 8, 0.5);
  penalty_step(w, Regions::nested);
  const std::vector<double> analytic = w.grad().to_vector();
  const auto penalty = [&](std::size_t i, double change) {
    w.write<double>()[i] += change;
    manual_seed(7);
    Tape tape;
    const Tensor loss = loss_of(w, Regions::each);
    const auto [gradient] = tape.gradients(loss, {w});
    double result = loss.item();
    for (const double g : gradient.to_vector()) result += g * g;
    w.write<double>()[i] -= change;
    return result;
  };
  for (std::size_t i = 0; i < 16; i += 3) {
    const double numeric = (penalty(i, 1e-6) - penalty(i, -1e-6)) / 2e-6;
    CHECK(numeric == Approx(analytic[i]).epsilon(1e-5).margin(1e-7));
  }
}

TEST_CASE("a third derivative through nested regions", "[engine]") {
  const Tensor w = random_leaf({6, 6}, 8, 0.6);
  Bits expected[3];
  for (const Regions regions : kRegions) {
    INFO("regions " << static_cast<int>(regions));
    release_grads({&w, 1});
    manual_seed(7);
    Tape tape;
    const Tensor loss = loss_of(w, regions, 2);
    const auto [first] = tape.gradients(loss, {w}, {.create_graph = true});
    const Tensor squared = sum(first * first);
    const auto [second] = tape.gradients(squared, {w}, {.create_graph = true});
    const Tensor again = sum(second * second);
    tape.backward(again);
    const Bits found[3] = {bits(first), bits(second), bits(w.grad())};
    for (std::size_t i = 0; i < 3; ++i) {
      if (regions == Regions::none) expected[i] = found[i];
      CHECK(found[i] == expected[i]);
    }
    CHECK((tape.replays() > 0) == (regions != Regions::none));
  }
  // sin' = cos, sin'' = -sin, sin''' = -cos.
  const Tensor x = random_leaf({5}, 2);
  Tape tape;
  const Tensor y = sum(checkpoint::run([&] { return sine(x); }));
  const auto [d1] = tape.gradients(y, {x}, {.create_graph = true});
  const auto [d2] = tape.gradients(sum(d1), {x}, {.create_graph = true});
  const auto [d3] = tape.gradients(sum(d2), {x});
  for (std::size_t i = 0; i < 5; ++i) {
    const double at = x.to_vector()[i];
    CHECK(d1.to_vector()[i] == Approx(std::cos(at)));
    CHECK(d2.to_vector()[i] == Approx(-std::sin(at)));
    CHECK(d3.to_vector()[i] == Approx(-std::cos(at)));
  }
}

TEST_CASE("a first-order backward after create_graph, on the same tape", "[engine]") {
  const Tensor w = random_leaf({6, 6}, 8, 0.6);
  Bits expected;
  for (const Regions regions : kRegions) {
    release_grads({&w, 1});
    manual_seed(7);
    Tape tape;
    const Tensor loss = loss_of(w, regions, 3);
    tape.backward(loss, {.create_graph = true});
    CHECK(w.grad().requires_grad());
    const Bits first = bits(w.grad());
    if (regions == Regions::none) expected = first;
    CHECK(first == expected);
    release_grads({&w, 1});
    tape.backward(loss);
    CHECK_FALSE(w.grad().requires_grad());
    CHECK(bits(w.grad()) == expected);
    CHECK_THROWS_AS(tape.backward(loss), UserError);
  }
}

TEST_CASE("gradients that a created graph shares are not added to twice", "[engine]") {
  const Tensor a = random_leaf({3}, 1), b = random_leaf({3}, 2);
  Tape tape;
  const Tensor loss = sum(a + b);
  tape.backward(loss, {.create_graph = true});  // one value is the gradient of both
  tape.backward(loss, {.retain_graph = true});
  CHECK(a.grad().to_vector() == std::vector<double>(3, 2));
  CHECK(b.grad().to_vector() == std::vector<double>(3, 2));
  tape.backward(loss);
  CHECK(a.grad().to_vector() == std::vector<double>(3, 3));
  CHECK(b.grad().to_vector() == std::vector<double>(3, 3));
}

TEST_CASE("an op without a gradient of its gradient says so", "[engine]") {
  const Tensor x = random_leaf({2, 4}, 1), weight = random_leaf({4}, 2), bias = random_leaf({4}, 3);
  Tape tape;
  const Tensor loss = sum(sine(layer_norm(x, weight, bias)));
  const auto [gradient] = tape.gradients(loss, {x}, {.create_graph = true});
  const Tensor penalty = sum(gradient * gradient);
  CHECK_THROWS_WITH(tape.backward(penalty), Catch::Contains("layer_norm_backward"));
}
