// Random programs under random regions, and bytes taken away at any time: the bits stay, or the failure is honest.
#include <catch2/catch.hpp>
#include <random>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"
#include "reprise/tests/engine_random_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

std::vector<Index> evictable_slots(const TapeState& tape) {
  std::vector<Index> result;
  for (Index s = 0; s < static_cast<Index>(tape.slots.size()); ++s)
    if (tape.evictable(s)) result.push_back(s);
  return result;
}

// Evicts a random slot whenever an allocation does not fit.
struct RandomEviction {
  TapeState* tape;
  std::mt19937 random;
  int evictions = 0;
  static bool relieve(void* context, Device, std::size_t) {
    auto& self = *static_cast<RandomEviction*>(context);
    const std::vector<Index> candidates = evictable_slots(*self.tape);
    if (candidates.empty()) return false;
    self.tape->evict(candidates[self.random() % candidates.size()]);
    ++self.evictions;
    return true;
  }
};

// Drops a random subset of what can be dropped after every op, whether it runs forward, backward or again.
struct RandomDrops : Observer {
  TapeState& tape;
  std::mt19937 random;
  int drops = 0;
  RandomDrops(Tape& t, std::uint64_t seed) : tape(t.state()), random(static_cast<unsigned>(seed)) {}
  void on(Event event, NodeId, const Tensor*, const Tensor*) override {
    if (event != Event::forward && event != Event::backward && event != Event::replay) return;
    const unsigned rarity = event == Event::replay ? 16 : 4;
    for (const Index s : evictable_slots(tape))
      if (random() % rarity == 0 && tape.evictable(s)) {
        tape.evict(s);
        ++drops;
      }
  }
};

struct Limit {
  explicit Limit(std::size_t bytes) { memory::set_limit(Device::cpu(), bytes); }
  ~Limit() {
    memory::set_limit(Device::cpu(), SIZE_MAX);
    memory::set_pressure_hook(nullptr, nullptr);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
};

}  // namespace

TEST_CASE("400 random programs: regions anywhere change no bit, and the dry run predicts peak and replays",
          "[engine]") {
  std::int64_t all_replays = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    const RandomProgram program(seed);
    const auto step = [&](std::uint64_t regions_seed) {
      release_grads(program.leaves);
      Tape tape;
      const Tensor loss = program.loss(regions_seed);
      tape.backward(loss);
      return tape.replays();
    };
    CHECK(step(0) == 0);
    const Bits expected = bits(grads(program.leaves));
    release_grads(program.leaves);
    const std::size_t before = live_bytes();
    const Prediction predicted = predict([&] { return step(seed + 1000); });
    std::int64_t replays = 0;
    const std::size_t peak = peak_of([&] { replays = step(seed + 1000); });
    CHECK(bits(grads(program.leaves)) == expected);
    CHECK(predicted.replays == replays);
    CHECK(predicted.peak == peak);
    CHECK(step(seed + 1000) == replays);
    CHECK(bits(grads(program.leaves)) == expected);
    CHECK(step(seed + 2000) >= 0);
    CHECK(bits(grads(program.leaves)) == expected);
    all_replays += replays;
    release_grads(program.leaves);
    CHECK(live_bytes() == before);
    CHECK(offloaded_bytes() == 0);
  }
  CHECK(all_replays > 400 * 10);
}

TEST_CASE("random programs: any subset of what can be made again dropped between any two ops", "[engine]") {
  int drops = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    const RandomProgram program(seed);
    const auto step = [&](std::uint64_t regions_seed, bool drop) {
      release_grads(program.leaves);
      Tape tape;
      RandomDrops dropper(tape, seed);
      if (drop) tape.set_observer(&dropper);
      const Tensor loss = program.loss(regions_seed);
      tape.backward(loss);
      drops += dropper.drops;
      return bits(grads(program.leaves));
    };
    const Bits expected = step(0, false);
    CHECK(step(0, true) == expected);
    CHECK(step(seed + 1000, true) == expected);
  }
  CHECK(drops > 100 * 10);
}

TEST_CASE("100 random programs differentiated twice: regions and dropped bytes change no bit", "[engine]") {
  std::int64_t all_replays = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    const RandomProgram program(seed, true);
    const std::vector<Tensor> wanted = {program.leaves[0], program.leaves[2]};
    const auto step = [&](std::uint64_t regions_seed, bool drop) {
      release_grads(program.leaves);
      Tape tape;
      RandomDrops dropper(tape, seed);
      if (drop) tape.set_observer(&dropper);
      const Tensor loss = program.loss(regions_seed);
      const std::vector<Tensor> first =
          tape.gradients(loss, wanted, {.create_graph = true, .allow_unused = true});
      Tensor penalty = loss;
      for (const Tensor& gradient : first)
        if (gradient.defined()) penalty = penalty + sum(gradient * gradient);
      tape.backward(penalty);
      return tape.replays();
    };
    CHECK(step(0, false) == 0);
    const Bits expected = bits(grads(program.leaves));
    release_grads(program.leaves);
    const Prediction predicted = predict([&] { return step(seed + 1000, false); });
    std::int64_t replays = 0;
    const std::size_t peak = peak_of([&] { replays = step(seed + 1000, false); });
    CHECK(bits(grads(program.leaves)) == expected);
    CHECK(predicted.replays == replays);
    CHECK(predicted.peak == peak);
    all_replays += replays;
    step(seed + 1000, true);
    CHECK(bits(grads(program.leaves)) == expected);
    step(0, true);
    CHECK(bits(grads(program.leaves)) == expected);
  }
  CHECK(all_replays > 100 * 20);
}

TEST_CASE("random programs: parts of a tape walked one after another, with failures between",
          "[engine][failure]") {
  int failures = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    const RandomProgram program(seed);
    // Two programs on one tape, which share leaves, and a third loss that needs both; walked in parts.
    const auto step = [&](std::uint64_t regions_seed, bool fail) {
      release_grads(program.leaves);
      const std::size_t before = live_bytes();
      Tape tape;
      std::mt19937 random(static_cast<unsigned>(seed));
      const Tensor a = program.loss(regions_seed), b = program.loss(regions_seed ? regions_seed + 1 : 0);
      const Tensor both = sine(reshape(a, {1})) * sine(reshape(b, {1}));
      const auto walk = [&](const Tensor& loss, bool retain) {
        if (fail) {
          const Bits was = bits(grads(program.leaves));
          memory::fail_after(random() % 200);
          try {
            tape.backward(loss, {.retain_graph = retain});
            memory::fail_after(-1);
            return;
          } catch (const OutOfMemory&) {
            memory::fail_after(-1);
            ++failures;
            CHECK(bits(grads(program.leaves)) == was);
          }
        }
        tape.backward(loss, {.retain_graph = retain});
      };
      walk(a, true);
      walk(both, true);
      walk(b, false);
      walk(a, false);
      CHECK_THROWS_AS(tape.backward(both), UserError);
      CHECK(live_bytes() >= before);
      return bits(grads(program.leaves));
    };
    const Bits expected = step(0, false);
    CHECK(step(seed + 1000, false) == expected);
    CHECK(step(seed + 1000, true) == expected);
  }
  CHECK(failures > 200);
}

TEST_CASE("random eviction under a limit: the right bits below the limit, or OutOfMemory and no gradient",
          "[engine]") {
  ResidualBlocks model;
  model.step(Style::none);
  const Bits expected = model.gradients();
  model.reset();
  const std::size_t peak = peak_of([&] { model.step(Style::none); });
  model.reset();
  const std::size_t before = live_bytes();
  for (const Style style : {Style::none, Style::each, Style::deep, Style::selective}) {
    int met = 0, refused = 0, evictions = 0;
    for (std::size_t limit = peak; limit > peak / 8; limit -= peak / 23) {
      INFO(name(style) << ", limit " << limit << " of " << peak);
      model.reset();
      {
        const Limit in_force(before + limit);
        memory::reset_peak(Device::cpu());
        Tape tape;
        RandomEviction eviction{&tape.state(), std::mt19937(static_cast<unsigned>(limit))};
        memory::set_pressure_hook(&RandomEviction::relieve, &eviction);
        try {
          const Tensor loss = model.forward(style);
          tape.backward(loss);
          ++met;
          CHECK(model.gradients() == expected);
        } catch (const OutOfMemory&) {
          ++refused;
          for (const Tensor& leaf : model.leaves) CHECK_FALSE(leaf.grad().defined());
        }
        CHECK(memory::peak(Device::cpu()) <= before + limit);
        evictions += eviction.evictions;
      }
      model.reset();
      CHECK(live_bytes() == before);
    }
    INFO(name(style) << ": met " << met << ", refused " << refused << ", evictions " << evictions);
    CHECK(met >= 10);
    CHECK(refused >= 1);
    if (style == Style::none) CHECK(evictions > 10);
  }
}
