#include "reprise/core/random.h"

#include <fmt/format.h>
#include <unistd.h>

#include <limits>

#include "reprise/core/error.h"

namespace reprise {

namespace {

// An offset that no draw reaches: addresses start a block of four words.
constexpr std::uint64_t kUnseeded = std::numeric_limits<std::uint64_t>::max();

thread_local RandomAddress generator{0, kUnseeded};

// The main thread's generator seeds itself.
RandomAddress& seeded_if_main() {
  if (generator.offset == kUnseeded && getpid() == gettid()) generator = {0, 0};
  return generator;
}

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

}  // namespace

std::array<std::uint32_t, 4> philox_4x32_10(std::array<std::uint32_t, 4> c,
                                            std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {high(b) ^ c[1] ^ key[0], low(b), high(a) ^ c[3] ^ key[1], low(a)};
    key[0] += 0x9E3779B9U;  // the golden ratio
    key[1] += 0xBB67AE85U;  // sqrt(3) - 1
  }
  return c;
}

std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t block) {
  return philox_4x32_10({low(block), high(block), 0, 0}, {low(seed), high(seed)});
}

std::uint32_t random_word(std::uint64_t seed, std::uint64_t index) {
  return philox(seed, index / 4)[index % 4];
}

RandomAddress next_random(std::uint64_t count) {
  RandomAddress& state = seeded_if_main();
  if (count == 0) return state;
  if (state.offset == kUnseeded)
    throw UserError(
        "random numbers: this thread's generator has no seed: call manual_seed(seed) on each thread that "
        "draws, "
        "with another seed for each");
  // The rounding below adds up to 3.
  if (count > kUnseeded - 4 - state.offset)
    throw UserError(
        fmt::format("random numbers: {} asked for at offset {} of seed {}: a stream has 2^64; call "
                    "manual_seed with another seed",
                    count, state.offset, state.seed));
  const RandomAddress address = state;
  state.offset += (count + 3) / 4 * 4;
  return address;
}

void manual_seed(std::uint64_t seed) { generator = {seed, 0}; }

RandomAddress random_state() { return seeded_if_main(); }

void set_random_state(RandomAddress state) { generator = state; }

}  // namespace reprise
