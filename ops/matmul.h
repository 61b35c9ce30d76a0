#pragma once
// matmul: y = a b, over the last two dimensions.
//
// a [.., m, k], b [.., k, n], y [.., m, n]; the leading dimensions broadcast, as in PyTorch. A
// one-dimensional a is a row and a one-dimensional b a column, whose dimension y lacks. dtypes equal and
// floating; y has the same. UserError for anything else. Saves b for a's gradient and a for b's. No operand
// is transposed in memory, in the gradients neither.
#include <array>
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor matmul(Tensor a, Tensor b);

struct MatmulOptions {
  bool transpose_a = false;  // a is stored [.., k, m]
  bool transpose_b = false;  // b is stored [.., n, k]
};
// The same for operands of at least two dimensions, stored transposed or not.
Tensor matmul(Tensor a, Tensor b, MatmulOptions options);

// y[i] = op(a[matrix_a(i)]) op(b[matrix_b(i)]) for i in [0, batch): row-major matrices one after another; op
// transposes where the flag says so. Where b is one matrix and a is not transposed, a's leading dimensions
// are part of m and batch is 1.
struct MatmulArgs {
  ConstView a, b;
  View y;
  bool transpose_a = false, transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  std::int64_t a_matrices = 1, b_matrices = 1;  // stored; where each is 1 or batch the steps are uniform
  // The leading dimensions of y, and the steps of a and b along them, in matrices (0: broadcast).
  int batch_rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> batch_extents = {}, a_steps = {}, b_steps = {};

  std::int64_t matrix_a(std::int64_t i) const { return matrix(i, a_matrices, a_steps); }
  std::int64_t matrix_b(std::int64_t i) const { return matrix(i, b_matrices, b_steps); }

 private:
  std::int64_t matrix(std::int64_t i, std::int64_t stored,
                      const std::array<std::int64_t, Shape::kMaxRank>& steps) const {
    if (stored == 1) return 0;
    if (stored == batch) return i;
    std::int64_t place = 0;
    for (int d = batch_rank - 1; d >= 0; --d) {
      const auto at = static_cast<std::size_t>(d);
      place += i % batch_extents[at] * steps[at];
      i /= batch_extents[at];
    }
    return place;
  }
};
extern KernelSlot<MatmulArgs> matmul_slot;  // by a's dtype

}  // namespace reprise
