#pragma once
// Walks of operands through a shape that is not their own, on the device.
#include "reprise/cuda/kernel.cuh"
#include "reprise/ops/strides.h"

namespace reprise::cuda {

template <std::size_t N>
struct Walk {
  int rank = 0;
  std::int64_t extents[Shape::kMaxRank] = {};
  std::int64_t strides[N][Shape::kMaxRank] = {};

  Walk(const Shape& shape, const std::array<Strides, N>& operand_strides) {
    const MergedStrides<N> merged(shape, operand_strides);
    rank = static_cast<int>(merged.rank);
    for (std::size_t d = 0; d < merged.rank; ++d) {
      extents[d] = merged.extents[d];
      for (std::size_t k = 0; k < N; ++k) strides[k][d] = merged.strides[k][d];
    }
  }

  // Where each operand has the element that is number i of the shape.
  __device__ void places(std::int64_t i, std::int64_t (&at)[N]) const {
    for (std::size_t k = 0; k < N; ++k) at[k] = 0;
    for (int d = rank - 1; d >= 0; --d) {
      const std::int64_t index = i % extents[d];
      i /= extents[d];
      for (std::size_t k = 0; k < N; ++k) at[k] += index * strides[k][d];
    }
  }
  __device__ std::int64_t place(std::int64_t i) const {
    static_assert(N == 1);
    std::int64_t at[1];
    places(i, at);
    return at[0];
  }
};

}  // namespace reprise::cuda
