#pragma once
// rms_norm: y = x rstd weight over the last dimension, rstd = 1 / sqrt(mean(x^2) + eps) (Zhang and Sennrich, "Root Mean
// Square Layer Normalization", 2019).
//
// x [.., width], weight [width], y [.., width]. rstd of each row is a further output [..] that carries no gradient, of
// statistics_dtype (statistics.h). Saves x, weight, rstd. The gradient op has no gradient.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor rms_norm(Tensor x, Tensor weight, double eps = 1e-6);

// Both by x's dtype.
struct RmsNormArgs {
  ConstView x, weight;
  View y, rstd;
  double eps = 1e-6;
};
struct RmsNormBackwardArgs {
  ConstView dy, x, weight, rstd;
  View dweight, dx;  // optional, each: info is null without
};
extern KernelSlot<RmsNormArgs> rms_norm_slot;
extern KernelSlot<RmsNormBackwardArgs> rms_norm_backward_slot;

}  // namespace reprise
