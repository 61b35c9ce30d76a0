#pragma once
// How an operand is walked in the row-major order of a shape that is not its own: broadcasting (stride 0), permuting.
#include <array>
#include <cstddef>
#include <cstdint>

#include "reprise/core/shape.h"

namespace reprise {

using Strides = std::array<std::int64_t, Shape::kMaxRank>;

// Strides in elements of a contiguous tensor.
inline Strides contiguous_strides(const Shape& shape) {
  Strides strides = {};
  std::int64_t step = 1;
  const auto extents = shape.extents();
  for (std::size_t d = extents.size(); d-- > 0;) {
    strides[d] = step;
    step *= extents[d];
  }
  return strides;
}

// Strides with which a contiguous operand is read as if it had `shape`, to which it broadcasts.
inline Strides broadcast_strides(const Shape& operand, const Shape& shape) {
  const Strides own = contiguous_strides(operand);
  const std::size_t missing = static_cast<std::size_t>(shape.rank() - operand.rank());
  Strides strides = {};
  for (std::size_t d = 0; d < operand.extents().size(); ++d)
    strides[missing + d] = operand.extents()[d] == 1 ? 0 : own[d];
  return strides;
}

// The walk of N operands through one shape: dimensions that every operand steps through as one are merged, so that equal
// shapes become a single dimension, and those of extent 1 are left out.
template <std::size_t N>
struct MergedStrides {
  std::size_t rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> extents = {};
  std::array<Strides, N> strides = {};  // of each operand, in elements

  MergedStrides(const Shape& shape, const std::array<Strides, N>& operand_strides) {
    const auto all = shape.extents();
    for (std::size_t d = 0; d < all.size(); ++d)
      if (all[d] != 1) append(all[d], operand_strides, d);
  }

 private:
  void append(std::int64_t extent, const std::array<Strides, N>& operand_strides, std::size_t d) {
    bool merges = rank > 0;
    for (std::size_t k = 0; merges && k < N; ++k)
      merges = strides[k][rank - 1] == extent * operand_strides[k][d];
    if (!merges) extents[rank++] = 1;
    extents[rank - 1] *= extent;
    for (std::size_t k = 0; k < N; ++k) strides[k][rank - 1] = operand_strides[k][d];
  }
};

}  // namespace reprise
