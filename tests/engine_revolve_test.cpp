// Known optima of chains: Revolve's binomial schedules (Griewank and Walther, "Algorithm 799: Revolve", 2000) as nested
// regions, and segments of sqrt(n) layers.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

std::int64_t binomial(std::int64_t n, std::int64_t k) {
  std::int64_t result = 1;
  for (std::int64_t i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return result;
}

// Forward steps that reversing l steps takes with c slots, the first forward not counted: their closed form.
std::int64_t advances(std::int64_t l, std::int64_t c) {
  std::int64_t r = 0;
  while (binomial(c + r, c) < l) ++r;
  return r * l - binomial(c + r, c + 1);
}

// Where to split l steps: the first part has all c slots, the rest one fewer.
std::int32_t split(std::int32_t l, std::int32_t c) {
  std::int32_t best = 1;
  std::int64_t least = INT64_MAX;
  for (std::int32_t m = 1; m < l; ++m) {
    if (c == 1 && l - m > 1) continue;
    const std::int64_t rest = l - m > 1 ? advances(l - m, c - 1) : 0, first = m > 1 ? advances(m, c) : 0;
    if (m + rest + first < least) {
      least = m + rest + first;
      best = m;
    }
  }
  return best;
}

// The parts of [first, first + l), each a region; the spine of rests lies flat beside them, single steps are direct.
void spine(std::int32_t first, std::int32_t l, std::int32_t c, std::vector<PlanRegion>& regions) {
  for (; l > 1; --c) {
    const std::int32_t m = split(l, c);
    if (m > 1) {
      regions.push_back({first, first + m});
      spine(first, m, c, regions);
    }
    first += m;
    l -= m;
  }
}

Tensor chain(Tensor h, std::int64_t length, Tensor (*layer)(Tensor)) {
  for (std::int64_t i = 0; i < length; ++i) h = layer(std::move(h));
  return h;
}

struct Run {
  std::int64_t replays;
  Bits gradient;
};
Run run_chain(std::int32_t length, std::vector<PlanRegion> regions) {
  const Tensor x = random_leaf({4}, 1);
  const auto step = [&](std::optional<Plan> plan) {
    Tape tape({.plan = std::move(plan)});
    const Tensor loss = sum(chain(x, length, sine));
    tape.backward(loss);
    return tape.replays();
  };
  Plan plan = plan_for([&] { return sum(chain(x, length, sine)); });
  plan.regions = std::move(regions);
  const std::int64_t replays = step(plan);
  const Prediction predicted = predict([&] { return step(plan); });
  CHECK(predicted.replays == replays);
  return {replays, bits(x.grad())};
}

}  // namespace

TEST_CASE("Revolve's schedules as nested regions replay exactly the known optimum", "[engine]") {
  struct Known {
    std::int32_t l, c;
    std::int64_t replays;
  };
  for (const auto& [l, c, replays] :
       {Known{10, 3, 15}, Known{16, 4, 27}, Known{32, 5, 68}, Known{50, 5, 122}, Known{100, 3, 490},
        Known{100, 5, 316}, Known{100, 10, 222}, Known{1000, 10, 3636}}) {
    INFO("l = " << l << ", c = " << c);
    REQUIRE(advances(l, c) == replays);
    const Run plain = run_chain(l, {});
    CHECK(plain.replays == 0);
    // In one outer region the schedule's first sweep is a replay.
    std::vector<PlanRegion> regions = {{0, l}};
    spine(0, l, c, regions);
    const Run outer = run_chain(l, regions);
    CHECK(outer.replays == replays);
    CHECK(outer.gradient == plain.gradient);
    // With the spine at the root the forward pass is that sweep.
    regions.clear();
    spine(0, l, c, regions);
    const Run root = run_chain(l, regions);
    CHECK(root.replays == replays - (l - 1));
    CHECK(root.gradient == plain.gradient);
  }
}

TEST_CASE("sequential: 100 layers in 10 segments, the last kept", "[engine]") {
  using Layer = std::function<Tensor(Tensor)>;
  const Tensor x = random_leaf({4}, 1);
  const auto replays = [&](Tensor (*layer)(Tensor), int segments) {
    std::vector<Layer> layers(100, layer);
    release_grads({&x, 1});
    Tape tape;
    const Tensor loss = sum(checkpoint::sequential(layers, segments, x));
    tape.backward(loss);
    return tape.replays();
  };
  const auto plain = [&](Tensor (*layer)(Tensor)) {
    CHECK(replays(layer, 1) == 0);
    return bits(x.grad());
  };
  const Bits squashed = plain(squash), sines = plain(sine);
  // What an op saves decides: every layer's output, or every layer's input, of which the first is the boundary.
  CHECK(replays(squash, 10) == 90);
  CHECK(bits(x.grad()) == squashed);
  CHECK(replays(sine, 10) == 81);
  CHECK(bits(x.grad()) == sines);
}

TEST_CASE("segments are balanced", "[engine]") {
  const auto lengths = [](std::int64_t layers, std::int64_t segments) {
    const std::vector<std::int64_t> edges = checkpoint::segment_edges(layers, segments);
    std::vector<std::int64_t> result;
    for (std::size_t i = 1; i < edges.size(); ++i) result.push_back(edges[i] - edges[i - 1]);
    return result;
  };
  CHECK(lengths(9, 5) == std::vector<std::int64_t>{1, 2, 2, 2, 2});
  CHECK(lengths(3, 10) == std::vector<std::int64_t>{1, 1, 1});
  CHECK(lengths(100, 10) == std::vector<std::int64_t>(10, 10));
  CHECK(lengths(0, 4) == std::vector<std::int64_t>{0});
  CHECK_THROWS_AS(checkpoint::segment_edges(3, 0), UserError);
  for (std::int64_t layers = 1; layers < 40; ++layers)
    for (std::int64_t segments = 1; segments <= layers; ++segments) {
      std::vector<std::int64_t> all = lengths(layers, segments);
      CHECK(static_cast<std::int64_t>(all.size()) == segments);
      CHECK(all.back() - all.front() <= 1);
      CHECK(std::is_sorted(all.begin(), all.end()));
    }
}
