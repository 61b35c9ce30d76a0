#pragma once
// Walks a shape in row-major order while up to N operands are read with strides of their own (ops/strides.h): broadcasting,
// permuting, windows. The result being walked is contiguous.
#include "reprise/core/parallel.h"
#include "reprise/ops/strides.h"

namespace reprise::cpu {

// Elements below which a loop stays on one thread.
inline constexpr std::int64_t kGrain = 32768;

template <std::size_t N>
struct StridedLoop : MergedStrides<N> {
  using MergedStrides<N>::extents;
  using MergedStrides<N>::rank;
  using MergedStrides<N>::strides;
  std::int64_t rows = 1;  // of the last dimension's length
  std::int64_t length = 1;

  StridedLoop(const Shape& shape, const std::array<Strides, N>& operand_strides)
      : MergedStrides<N>(shape, operand_strides) {
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
};

}  // namespace reprise::cpu
