#pragma once
// softmax: y = exp(x) / sum(exp(x)) along one dimension; log_softmax its logarithm. Both subtract the highest
// value first. Same shape and dtype; floating. Save y. Gradients (with gradients of their own):
//   softmax      dx = y (dy - sum(dy y))
//   log_softmax  dx = dy - exp(y) sum(dy)
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor softmax(Tensor x, int dim);
Tensor log_softmax(Tensor x, int dim);
// softmax over the last dimension of scores [.., queries, keys] in which query i sees the keys 0..i only; y
// is 0 elsewhere.
Tensor causal_softmax(Tensor scores);

// x is [outer, extent, inner], along the middle. All by x's dtype (that of dy in the gradient).
struct SoftmaxArgs {
  ConstView x;
  View y;
  std::int64_t outer = 1, extent = 1, inner = 1;
  bool log = false;
  std::int64_t causal_rows =
      0;  // above 0: row r of [outer] (inner is 1) sees the places 0..r % causal_rows only
};
struct SoftmaxBackwardArgs {
  ConstView dy, y;
  View dx;
  std::int64_t outer = 1, extent = 1, inner = 1;
  bool log = false;
  std::int64_t causal_rows = 0;  // as in SoftmaxArgs: dy is not read, and dx is 0, beyond what a row sees
};
extern KernelSlot<SoftmaxArgs> softmax_slot;
extern KernelSlot<SoftmaxBackwardArgs> softmax_backward_slot;

}  // namespace reprise
