#pragma once
// linear_cross_entropy: cross_entropy(linear(x, w), targets), the last projection of a language model and its loss in one
// op. The logits are made for some positions at a time, and made again for the gradient, so memory holds no [positions,
// classes].
//
// x [.., in], w [classes, in] of x's dtype, targets i64 of x's leading shape, in [0, classes) or ignore_index; loss: a
// scalar of statistics_dtype (statistics.h), NaN when every target is ignored. A second output [..], not
// differentiable, of the same dtype, is that of cross_entropy. Saves x, w, targets and the second output. UserError for
// a target out of range, naming its place; the gradient op has no gradient.
#include "reprise/ops/cross_entropy.h"

namespace reprise {

Tensor linear_cross_entropy(Tensor x, Tensor w, Tensor targets, CrossEntropyOptions options = {});

// All by x's dtype. Targets have been checked.
struct LinearCrossEntropyArgs {
  ConstView x, w, targets;
  View loss, log_sum;
  CrossEntropyOptions options;
};
// With the dlogits of cross_entropy: dx = dlogits w, dw = dlogits^T x.
struct LinearCrossEntropyBackwardArgs {
  ConstView dloss, x, w, targets, log_sum;
  View dx, dw;  // optional, each: info is null without; dw of statistics_dtype
  CrossEntropyOptions options;
};
extern KernelSlot<LinearCrossEntropyArgs> linear_cross_entropy_slot;
extern KernelSlot<LinearCrossEntropyBackwardArgs> linear_cross_entropy_backward_slot;

}  // namespace reprise
