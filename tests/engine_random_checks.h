#pragma once
// Checks of one random program each: whatever regions, dropped bytes and failures do, the gradients
// keep their bits. A check throws Mismatch at the first difference.
#include <cstdint>
#include <stdexcept>

namespace reprise::test {

struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Counts of the events during a check. A test asserts that enough happened.
struct RandomCheckCounts {
  std::int64_t replays = 0, drops = 0, failures = 0;
  RandomCheckCounts& operator+=(const RandomCheckCounts& more);
};

// Regions anywhere change no bit. A dry run predicts the peak and the replays. No byte is left over.
RandomCheckCounts check_regions(std::uint64_t seed);
// Any subset of the buffers that can be recomputed is dropped between any two ops.
RandomCheckCounts check_drops(std::uint64_t seed);
// The program is differentiated twice, under regions and with dropped bytes.
RandomCheckCounts check_twice(std::uint64_t seed);
// Three losses of one tape are walked one after another, and allocations fail between.
RandomCheckCounts check_parts(std::uint64_t seed);

}  // namespace reprise::test
