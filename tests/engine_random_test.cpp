// Random programs under random regions, and bytes taken away at any time: the bits stay, or the failure is honest.
#include <catch2/catch.hpp>
#include <random>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/memory.h"
#include "reprise/tests/engine_program.h"
#include "reprise/tests/engine_random_checks.h"

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

struct Limit {
  explicit Limit(std::size_t bytes) { memory::set_limit(Device::cpu(), bytes); }
  ~Limit() {
    memory::set_limit(Device::cpu(), SIZE_MAX);
    memory::set_pressure_hook(nullptr, nullptr);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
};

RandomCheckCounts check_each(std::uint64_t programs, RandomCheckCounts (*check)(std::uint64_t seed)) {
  RandomCheckCounts counts;
  for (std::uint64_t seed = 1; seed <= programs; ++seed) {
    INFO("seed " << seed);
    CHECK_NOTHROW(counts += check(seed));
  }
  return counts;
}

}  // namespace

TEST_CASE("400 random programs: regions anywhere change no bit, and the dry run predicts peak and replays",
          "[engine]") {
  CHECK(check_each(400, check_regions).replays > 400 * 10);
}

TEST_CASE("random programs: any subset of what can be made again dropped between any two ops", "[engine]") {
  CHECK(check_each(100, check_drops).drops > 100 * 10);
}

TEST_CASE("100 random programs differentiated twice: regions and dropped bytes change no bit", "[engine]") {
  CHECK(check_each(100, check_twice).replays > 100 * 20);
}

TEST_CASE("random programs: parts of a tape walked one after another, with failures between",
          "[engine][failure]") {
  CHECK(check_each(200, check_parts).failures > 200);
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
