#include "reprise/tests/engine_random_checks.h"

#include <random>
#include <string>
#include <vector>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"
#include "reprise/tests/engine_random_program.h"

namespace reprise::test {
namespace {

void expect(bool holds, const char* what) {
  if (!holds) throw Mismatch(what);
}

template <class A, class B>
void expect_equal(A actual, B expected, const char* what) {
  if (std::cmp_not_equal(actual, expected))
    throw Mismatch(std::string(what) + ": " + std::to_string(actual) + ", expected " +
                   std::to_string(expected));
}

// Drops a random subset of what can be dropped after every op, whether it runs forward, backward or again.
struct RandomDrops : Observer {
  TapeState& tape;
  std::mt19937 random;
  std::int64_t drops = 0;
  RandomDrops(Tape& t, std::uint64_t seed) : tape(t.state()), random(static_cast<unsigned>(seed)) {}
  void on(Event event, NodeId, const Tensor*, const Tensor*) override {
    if (event != Event::forward && event != Event::backward && event != Event::replay) return;
    const unsigned rarity = event == Event::replay ? 16 : 4;
    for (Index s = 0; s < static_cast<Index>(tape.slots.size()); ++s)
      if (tape.evictable(s) && random() % rarity == 0) {
        tape.evict(s);
        ++drops;
      }
  }
};

// Runs one walk of a tape. Allocations fail at random until the walk succeeds once without a failure.
void walk(const RandomProgram& program, Tape& tape, const Tensor& loss, bool retain, std::mt19937* failing,
          RandomCheckCounts& counts) {
  if (failing) {
    const Bits was = bits(grads(program.leaves));
    memory::fail_after((*failing)() % 200);
    try {
      tape.backward(loss, {.retain_graph = retain});
      memory::fail_after(-1);
      return;
    } catch (const OutOfMemory&) {
      memory::fail_after(-1);
      ++counts.failures;
      expect(bits(grads(program.leaves)) == was, "a failed backward changed a gradient");
    }
  }
  tape.backward(loss, {.retain_graph = retain});
}

// Two programs on one tape, which share leaves, and a third loss that needs both; walked in parts.
Bits walk_in_parts(const RandomProgram& program, std::uint64_t regions_seed, bool fail,
                   RandomCheckCounts& counts) {
  release_grads(program.leaves);
  const std::size_t before = live_bytes();
  Tape tape;
  std::mt19937 random(static_cast<unsigned>(program.seed));
  std::mt19937* failing = fail ? &random : nullptr;
  const Tensor a = program.loss(regions_seed), b = program.loss(regions_seed ? regions_seed + 1 : 0);
  const Tensor both = sine(reshape(a, {1})) * sine(reshape(b, {1}));
  walk(program, tape, a, true, failing, counts);
  walk(program, tape, both, true, failing, counts);
  walk(program, tape, b, false, failing, counts);
  walk(program, tape, a, false, failing, counts);
  bool refused = false;
  try {
    tape.backward(both);
  } catch (const UserError&) {
    refused = true;
  }
  expect(refused, "a spent part of the tape was walked again");
  expect(live_bytes() >= before, "more bytes were freed than were allocated");
  return bits(grads(program.leaves));
}

}  // namespace

RandomCheckCounts& RandomCheckCounts::operator+=(const RandomCheckCounts& more) {
  replays += more.replays;
  drops += more.drops;
  failures += more.failures;
  return *this;
}

RandomCheckCounts check_regions(std::uint64_t seed) {
  const RandomProgram program(seed);
  const auto step = [&](std::uint64_t regions_seed) {
    release_grads(program.leaves);
    Tape tape;
    const Tensor loss = program.loss(regions_seed);
    tape.backward(loss);
    return tape.replays();
  };
  const auto gradients = [&] { return bits(grads(program.leaves)); };
  expect_equal(step(0), 0, "replays without regions");
  const Bits expected = gradients();
  release_grads(program.leaves);
  const std::size_t before = live_bytes();
  const Prediction predicted = predict([&] { return step(seed + 1000); });
  RandomCheckCounts counts;
  const std::size_t peak = peak_of([&] { counts.replays = step(seed + 1000); });
  expect(gradients() == expected, "regions changed a gradient");
  expect_equal(predicted.replays, counts.replays, "predicted replays");
  expect_equal(predicted.peak, peak, "predicted peak");
  expect_equal(step(seed + 1000), counts.replays, "replays of a second step");
  expect(gradients() == expected, "a second step under regions changed a gradient");
  step(seed + 2000);
  expect(gradients() == expected, "other regions changed a gradient");
  release_grads(program.leaves);
  expect_equal(live_bytes(), before, "bytes after the steps");
  expect_equal(offloaded_bytes(), 0, "offloaded bytes after the steps");
  return counts;
}

RandomCheckCounts check_drops(std::uint64_t seed) {
  const RandomProgram program(seed);
  RandomCheckCounts counts;
  const auto step = [&](std::uint64_t regions_seed, bool drop) {
    release_grads(program.leaves);
    Tape tape;
    RandomDrops dropper(tape, seed);
    if (drop) tape.set_observer(&dropper);
    const Tensor loss = program.loss(regions_seed);
    tape.backward(loss);
    counts.drops += dropper.drops;
    return bits(grads(program.leaves));
  };
  const Bits expected = step(0, false);
  expect(step(0, true) == expected, "dropped bytes changed a gradient");
  expect(step(seed + 1000, true) == expected, "dropped bytes under regions changed a gradient");
  return counts;
}

RandomCheckCounts check_twice(std::uint64_t seed) {
  const RandomProgram program(seed, true);
  const std::vector<Tensor> wanted = {program.leaves[0], program.leaves[2]};
  RandomCheckCounts counts;
  const auto step = [&](std::uint64_t regions_seed, bool drop) {
    release_grads(program.leaves);
    Tape tape;
    RandomDrops dropper(tape, seed);
    if (drop) tape.set_observer(&dropper);
    const Tensor loss = program.loss(regions_seed);
    Tensor penalty = loss;
    for (const Tensor& gradient : tape.gradients(loss, wanted, {.create_graph = true, .allow_unused = true}))
      if (gradient.defined()) penalty = penalty + sum(gradient * gradient);
    tape.backward(penalty);
    counts.drops += dropper.drops;
    return tape.replays();
  };
  const auto gradients = [&] { return bits(grads(program.leaves)); };
  expect_equal(step(0, false), 0, "replays without regions");
  const Bits expected = gradients();
  release_grads(program.leaves);
  const Prediction predicted = predict([&] { return step(seed + 1000, false); });
  const std::size_t peak = peak_of([&] { counts.replays = step(seed + 1000, false); });
  expect(gradients() == expected, "regions changed a second derivative");
  expect_equal(predicted.replays, counts.replays, "predicted replays of double backward");
  expect_equal(predicted.peak, peak, "predicted peak of double backward");
  step(seed + 1000, true);
  expect(gradients() == expected, "dropped bytes under regions changed a second derivative");
  step(0, true);
  expect(gradients() == expected, "dropped bytes changed a second derivative");
  release_grads(program.leaves);
  return counts;
}

RandomCheckCounts check_parts(std::uint64_t seed) {
  const RandomProgram program(seed);
  RandomCheckCounts counts;
  const Bits expected = walk_in_parts(program, 0, false, counts);
  expect(walk_in_parts(program, seed + 1000, false, counts) == expected,
         "regions changed a gradient of a walk in parts");
  expect(walk_in_parts(program, seed + 1000, true, counts) == expected,
         "failures between changed a gradient of a walk in parts");
  release_grads(program.leaves);
  return counts;
}

}  // namespace reprise::test
