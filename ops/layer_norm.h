#pragma once
// layer_norm: y = (x - mean) rstd weight + bias over the last dimension (Ba, Kiros and Hinton, 2016).
//
// x [.., width], weight and bias [width], y [.., width]. mean and rstd = 1 / sqrt(biased variance + eps) of
// each row are further outputs [..] that carry no gradient, of statistics_dtype (statistics.h). Saves x,
// weight, mean, rstd. The gradient op has no gradient.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor layer_norm(Tensor x, Tensor weight, Tensor bias, double eps = 1e-5);

// All by x's dtype.
struct LayerNormArgs {
  ConstView x, weight, bias;
  View y, mean, rstd;
  double eps = 1e-5;
};
struct LayerNormBackwardArgs {
  ConstView dy, x, weight, mean, rstd;
  View dweight, dbias;  // optional, both or none: info is null without
  View dx;              // optional: info is null without
};
extern KernelSlot<LayerNormArgs> layer_norm_slot;
extern KernelSlot<LayerNormBackwardArgs> layer_norm_backward_slot;

}  // namespace reprise
