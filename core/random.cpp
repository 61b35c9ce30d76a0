#include "reprise/core/random.h"

namespace reprise {

namespace {

thread_local RandomAddress generator;

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
  const RandomAddress address = generator;
  generator.offset += (count + 3) / 4 * 4;
  return address;
}

void manual_seed(std::uint64_t seed) { generator = {seed, 0}; }

RandomAddress random_state() { return generator; }

void set_random_state(RandomAddress state) { generator = state; }

}  // namespace reprise
