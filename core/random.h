#pragma once
// Addressed randomness: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A number is a pure function of {seed, offset}, so any thread can make any part and a replay makes the same again.
#include <array>
#include <cstdint>

namespace reprise {

// The address of a run of random numbers: numbers offset, offset + 1, ... of the stream `seed`.
struct RandomAddress {
  std::uint64_t seed = 0;
  std::uint64_t offset = 0;
};

// The generator itself: ten rounds of Philox on a counter under a key.
std::array<std::uint32_t, 4> philox_4x32_10(std::array<std::uint32_t, 4> counter,
                                            std::array<std::uint32_t, 2> key);

// Four 32-bit words of block `block` of the stream `seed`.
std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint64_t block);

// Word number `index` of the stream: philox(seed, index / 4)[index % 4].
std::uint32_t random_word(std::uint64_t seed, std::uint64_t index);

// In [0, 1), 24 bits.
inline float uniform_from_word(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

// The thread's generator: hands out addresses. `count` words, rounded up so that the next address starts a block.
RandomAddress next_random(std::uint64_t count);

void manual_seed(std::uint64_t seed);  // seed, and offset 0

// For saving and resuming a run.
RandomAddress random_state();
void set_random_state(RandomAddress state);

}  // namespace reprise
