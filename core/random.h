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

// The thread's generator hands out addresses. `count` words, rounded up so that the next address starts a block.
//
// Each thread has a generator of its own. That of the main thread begins with seed 0. Any other thread must call
// manual_seed or set_random_state first. Without a seed a draw is a UserError, because all threads would draw the same
// numbers. UserError too if the stream has no `count` words left.
RandomAddress next_random(std::uint64_t count);

void manual_seed(std::uint64_t seed);  // seed, and offset 0

// For saving and resuming a run. The state of a thread without a seed can be restored too.
RandomAddress random_state();
void set_random_state(RandomAddress state);

// Gives the thread's generator this state until the end of the scope, then its own state again.
class RandomScope {
 public:
  explicit RandomScope(RandomAddress state) : before_(random_state()) { set_random_state(state); }
  ~RandomScope() { set_random_state(before_); }
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

 private:
  RandomAddress before_;
};

// One draw of `count` words. The generator moves back at the end of the scope unless keep() was called: a draw that fails
// must not move the generator.
class RandomDraw {
 public:
  explicit RandomDraw(std::uint64_t count) : before_(random_state()), address_(next_random(count)) {}
  ~RandomDraw() {
    if (!kept_) set_random_state(before_);
  }
  RandomDraw(const RandomDraw&) = delete;
  RandomDraw& operator=(const RandomDraw&) = delete;

  RandomAddress address() const { return address_; }
  void keep() { kept_ = true; }

 private:
  RandomAddress before_, address_;
  bool kept_ = false;
};

}  // namespace reprise
