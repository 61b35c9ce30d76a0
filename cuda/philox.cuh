#pragma once
// The CPU's random numbers on the device: core/random.h says what they are.
#include "reprise/core/random.h"
#include "reprise/cuda/kernel.cuh"

namespace reprise::cuda {

// An address of random numbers as a kernel gets it: as it is, or in a captured step so far behind the address that the device
// finds at `begin` when it runs.
struct DeviceRandom {
  RandomAddress address;
  const RandomAddress* begin = nullptr;
  __device__ std::uint64_t seed() const { return begin ? begin->seed : address.seed; }
  __device__ std::uint64_t offset() const { return begin ? begin->offset + address.offset : address.offset; }
};

// An address that was drawn before the step, or that the step seeded itself, is the same in every launch.
inline DeviceRandom device_random(const Context& context, RandomAddress address) {
  const CapturedRandom* captured = context.captured_random;
  if (!captured || address.seed != captured->begin.seed || address.offset < captured->begin.offset)
    return {address};
  return {{0, address.offset - captured->begin.offset}, captured->device};
}

struct RandomBlock {
  std::uint32_t words[4];
};

// philox(seed, block)
__device__ inline RandomBlock random_block(std::uint64_t seed, std::uint64_t block) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  std::uint32_t c[4] = {low(block), high(block), 0, 0};
  std::uint32_t key[2] = {low(seed), high(seed)};
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0], b = std::uint64_t{0xCD9E8D57} * c[2];
    c[0] = high(b) ^ c[1] ^ key[0];
    c[1] = low(b);
    c[2] = high(a) ^ c[3] ^ key[1];
    c[3] = low(a);
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

__device__ inline float uniform_of(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

// The uniform number at an address of the stream.
__device__ inline float uniform_at(std::uint64_t seed, std::uint64_t index) {
  return uniform_of(random_block(seed, index / 4).words[index % 4]);
}

}  // namespace reprise::cuda
