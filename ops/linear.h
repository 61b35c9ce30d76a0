#pragma once
// linear: y = x w^T + b, the fully connected layer.
//
// x [.., in], w [out, in], b [out] or undefined, y [.., out]; dtypes equal and floating. Saves w for x's
// gradient and x for w's. Gradients: of x by matmul, of w by linear_backward_weight, of b by column_sum; all
// have gradients of their own.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor linear(Tensor x, Tensor w, Tensor b = {});

// dw = dy^T x over all rows: dy [.., out], x [.., in] with the same leading extents, dw [out, in] of statistics_dtype
// (statistics.h): what is summed over a batch is not rounded to 16 bits.
Tensor linear_backward_weight(Tensor dy, Tensor x);

struct LinearArgs {  // rows = x.numel / in
  ConstView x, w;
  ConstView b;  // optional: info is null without
  View y;
};
struct LinearBackwardWeightArgs {
  ConstView dy, x;
  View dw;
};
extern KernelSlot<LinearArgs> linear_slot;                                // by x's dtype
extern KernelSlot<LinearBackwardWeightArgs> linear_backward_weight_slot;  // by x's dtype

}  // namespace reprise
