// Gradients are the same bits whatever is kept, replayed or offloaded; exactly so many nodes are replayed; the dry run
// predicts peak and replays exactly. Replay counts matter: an engine that kept no boundary at all would still give the
// right bits.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

constexpr std::int64_t kOutput = ResidualBlocks::kNodesForOutput;
constexpr std::int64_t kBackward = ResidualBlocks::kNodesForBackward;

// Six blocks. Counted by hand: what runs again for a block's own backward, and whole blocks for a later one's input.
const std::map<Style, std::int64_t> expected_replays = {
    {Style::none, 0},
    {Style::each, 6 * kBackward},
    {Style::square_root, 3 * (kOutput + kBackward)},
    // The outer region is opened at the last block, whose input takes the five before it; the inputs of all stay.
    {Style::nested, 5 * kOutput + 6 * kBackward},
    // The same with blocks [0, 3) replayed for the second half, and [0, 2) again when the first half is opened.
    {Style::deep, 5 * kOutput + 2 * kOutput + 6 * kBackward},
    {Style::selective, 6 * (kBackward - 1)},
    {Style::offloaded, 6 * (kBackward - 1)},
};

// Random nested regions over [first, last).
void random_regions(std::mt19937& random, std::int32_t first, std::int32_t last, int depth,
                    std::vector<PlanRegion>& regions) {
  for (std::int32_t i = first; i < last;) {
    const auto j = i + 1 + static_cast<std::int32_t>(random() % static_cast<unsigned>(last - i));
    const bool whole = depth > 0 && i == first && j == last;
    if (random() % 2 && depth < 4 && !whole) {
      regions.push_back({i, j, random() % 8 == 0});
      random_regions(random, i, j, depth + 1, regions);
    }
    i = j;
  }
}

}  // namespace

TEST_CASE("gradient bits, replays and predicted peak under every style of checkpointing", "[engine]") {
  ResidualBlocks model;
  model.step(Style::none);
  const Bits expected = model.gradients();
  REQUIRE(expected.size() == 4 * 64 + 2 * 8);
  const std::size_t before = (model.reset(), live_bytes());
  for (const Style style : kStyles) {
    INFO(name(style));
    model.reset();
    const Prediction predicted = predict([&] { return model.step(style); });
    model.reset();
    std::int64_t replays = 0;
    const std::size_t peak = peak_of([&] { replays = model.step(style); });
    CHECK(model.gradients() == expected);
    CHECK(replays == expected_replays.at(style));
    CHECK(predicted.replays == replays);
    CHECK(predicted.peak == peak);
    model.reset();
    CHECK(live_bytes() == before);
    CHECK(offloaded_bytes() == 0);
  }
}

TEST_CASE("what a style keeps between forward and backward, to the byte", "[engine]") {
  ResidualBlocks model;
  const std::size_t activation = model.x.bytes();
  const auto held = [&](Style style) {
    model.reset();
    const std::size_t before = live_bytes();
    Tape tape;
    const Tensor loss = model.forward(style);
    return live_bytes() - before - loss.bytes();
  };
  // Each region needs its input (the first is the model's own), the last sum the last output.
  CHECK(held(Style::each) == 6 * activation);
  CHECK(held(Style::square_root) == 3 * activation);
  CHECK(held(Style::nested) == activation);
  CHECK(held(Style::deep) == activation);
  CHECK(held(Style::selective) == 12 * activation);
  CHECK(held(Style::offloaded) == 6 * activation);
  CHECK(held(Style::none) > 30 * activation);
}

TEST_CASE("an offloaded value is copied out once and fetched once", "[engine]") {
  struct Counter : Observer {
    int offloads = 0, fetches = 0;
    void on(Event event, NodeId, const Tensor*, const Tensor*) override {
      offloads += event == Event::offload;
      fetches += event == Event::fetch;
    }
  } counter;
  ResidualBlocks model;
  model.reset();
  Tape tape;
  tape.set_observer(&counter);
  const Tensor loss = model.forward(Style::offloaded);
  CHECK(counter.offloads == 6);
  CHECK(offloaded_bytes() == 6 * model.x.bytes());
  tape.backward(loss);
  CHECK(counter.fetches == 6);
  CHECK(offloaded_bytes() == 0);
}

TEST_CASE("the model's gradient agrees with a central difference", "[engine]") {
  ResidualBlocks model(3);
  model.step(Style::deep);
  const double step = 1e-6;
  for (const std::size_t leaf : {0U, 1U, 4U}) {
    const double analytic = model.leaves[leaf].grad().to_vector()[5];
    const auto loss_at = [&](double change) {
      manual_seed(7);
      model.leaves[leaf].write<double>()[5] += change;
      const double loss = model.forward(Style::none).item();
      model.leaves[leaf].write<double>()[5] -= change;
      return loss;
    };
    const double numeric = (loss_at(step) - loss_at(-step)) / (2 * step);
    CHECK(numeric == Approx(analytic).epsilon(1e-5));
  }
}

TEST_CASE("150 random plans: bits, predicted peak to the byte, replays, nothing left behind", "[engine]") {
  constexpr unsigned kSeed = 1;
  std::mt19937 random(kSeed);
  ResidualBlocks model;
  model.step(Style::none);
  const Bits expected = model.gradients();
  model.reset();
  const Plan base = plan_for([&] { return model.forward(Style::none); });
  model.reset();
  const auto nodes = static_cast<std::int32_t>(base.nodes.size());
  const std::size_t before = live_bytes();
  std::int64_t all_replays = 0;
  for (int trial = 0; trial < 150; ++trial) {
    INFO("seed " << kSeed << ", trial " << trial);
    Plan plan = base;
    random_regions(random, 0, nodes, 0, plan.regions);
    std::map<std::pair<std::int32_t, std::int32_t>, Decision> decisions;
    for (int i = 0; i < 8; ++i)
      decisions[{static_cast<std::int32_t>(random() % static_cast<unsigned>(nodes)), 0}] =
          random() % 2 ? Decision::keep : Decision::offload;
    for (const auto& [place, decision] : decisions)
      plan.decisions.push_back({place.first, place.second, decision});
    plan.validate();

    model.reset();
    const Prediction predicted = predict([&] { return model.step(Style::none, {.plan = plan}); });
    model.reset();
    std::int64_t replays = 0;
    const std::size_t peak = peak_of([&] { replays = model.step(Style::none, {.plan = plan}); });
    CHECK(model.gradients() == expected);
    CHECK(predicted.peak == peak);
    CHECK(predicted.replays == replays);
    all_replays += replays;
    model.reset();
    CHECK(live_bytes() == before);
    CHECK(offloaded_bytes() == 0);
  }
  CHECK(all_replays > 150 * 10);
}
