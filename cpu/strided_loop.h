#pragma once
// Walks a shape in row-major order while up to N operands are read with strides of their own: broadcasting (stride 0),
// permuting, windows. The result being walked is contiguous. Dimensions that every operand steps through as one are
// merged, so that equal shapes become a single row.
#include <array>
#include <cstddef>
#include <cstdint>

#include "reprise/core/parallel.h"
#include "reprise/core/shape.h"

namespace reprise::cpu {

// Elements below which a loop stays on one thread.
inline constexpr std::int64_t kGrain = 32768;

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

template <std::size_t N>
struct StridedLoop {
  std::size_t rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> extents = {};
  std::array<Strides, N> strides = {};  // of each operand, in elements
  std::int64_t rows = 1;                // of the last dimension's length
  std::int64_t length = 1;

  StridedLoop(const Shape& shape, const std::array<Strides, N>& operand_strides) {
    const auto all = shape.extents();
    for (std::size_t d = 0; d < all.size(); ++d)
      if (all[d] != 1) append(all[d], operand_strides, d);
    if (rank == 0) return;
    length = extents[rank - 1];
    for (std::size_t d = 0; d + 1 < rank; ++d) rows *= extents[d];
  }

  // The step of an operand along a row.
  std::int64_t step(std::size_t operand) const { return rank == 0 ? 0 : strides[operand][rank - 1]; }

  // Calls body(first, offsets) for each row: the index of its first element in the result, and the offset in elements
  // at which each operand's row begins. Rows are shared out among threads.
  template <class Body>
  void for_each_row(Body body) const {
    if (length == 0) return;
    parallel_for(rows, kGrain / length + 1, [&](std::int64_t begin, std::int64_t end) {
      std::array<std::int64_t, Shape::kMaxRank> index = {};
      std::array<std::int64_t, N> offsets = {};
      std::int64_t rest = begin;
      for (std::size_t d = rank; d-- > 1;) {
        const std::size_t outer = d - 1;
        index[outer] = rest % extents[outer];
        rest /= extents[outer];
        for (std::size_t k = 0; k < N; ++k) offsets[k] += index[outer] * strides[k][outer];
      }
      for (std::int64_t row = begin; row < end; ++row) {
        body(row * length, offsets);
        for (std::size_t d = rank; d-- > 1;) {
          const std::size_t outer = d - 1;
          for (std::size_t k = 0; k < N; ++k) offsets[k] += strides[k][outer];
          if (++index[outer] < extents[outer]) break;
          for (std::size_t k = 0; k < N; ++k) offsets[k] -= extents[outer] * strides[k][outer];
          index[outer] = 0;
        }
      }
    });
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

}  // namespace reprise::cpu
