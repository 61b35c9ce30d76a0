#pragma once
// Random programs for the tests of the tape: a random graph of ops with views, ops of several outputs, untracked ops, data made
// inside and outside the step, handles that die early, and regions opened and closed anywhere. The graph depends on the
// first seed alone, so that the same program can run under any regions.
#include <cstdint>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise::test {

struct RandomProgram {
  // twice_differentiable: without layer_norm, whose gradient has none.
  explicit RandomProgram(std::uint64_t seed, bool twice_differentiable = false);
  std::uint64_t seed;
  bool twice_differentiable;
  std::vector<Tensor> leaves;  // two matrices [6, 6], [4, 6], and layer_norm's weight and bias [6]
  Tensor data;                 // [4, 6]

  // The loss. With regions_seed != 0, regions with random policies are opened and closed between ops, and further
  // handles to values are kept for a while.
  Tensor loss(std::uint64_t regions_seed) const;
};

}  // namespace reprise::test
