#pragma once
// batch_norm: y = (x - mean) rstd weight + bias, per channel (Ioffe and Szegedy, 2015).
//
// x [.., channels], weight and bias [channels]. mean and rstd = 1 / sqrt(variance + eps) are those of the
// batch, with the biased variance, over all leading dimensions; they are outputs [channels] that carry no
// gradient, of statistics_dtype (statistics.h); weight and bias have that dtype too or x's. Running
// statistics are the module's business (nn/): the batch's biased variance is 1 / rstd^2 - eps. UserError for
// fewer than two values a channel. Saves x, weight, mean, rstd; with ReLU also y, whose sign says where the
// gradient passes. The gradient op has no gradient.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

struct BatchNormOutputs {
  Tensor y, mean, rstd;
};
BatchNormOutputs batch_norm(Tensor x, Tensor weight, Tensor bias, double eps = 1e-5);
// relu(batch_norm(...)) in one op.
BatchNormOutputs batch_norm_relu(Tensor x, Tensor weight, Tensor bias, double eps = 1e-5);
// relu(batch_norm(...) + residual) in one op: the end of a residual block. residual has x's shape; its gradient is the
// one that passes the ReLU.
BatchNormOutputs batch_norm_add_relu(Tensor x, Tensor residual, Tensor weight, Tensor bias,
                                     double eps = 1e-5);

// With given statistics (evaluation): y = (x - mean) / sqrt(variance + eps) weight + bias. mean and variance
// get no gradient.
Tensor batch_norm_inference(Tensor x, Tensor weight, Tensor bias, Tensor mean, Tensor variance,
                            double eps = 1e-5);

// All by x's dtype.
struct BatchNormArgs {
  ConstView x, weight, bias;
  ConstView residual;  // added before the ReLU; info is null without
  View y, mean, rstd;
  double eps = 1e-5;
  bool relu = false;
};
struct BatchNormBackwardArgs {
  ConstView dy, x, weight, mean, rstd;
  ConstView y;  // with relu; otherwise info is null
  View dweight, dbias;
  View dx, dresidual;  // optional: info is null without
  double eps = 1e-5;
  bool relu = false;
};
struct BatchNormInferenceArgs {
  ConstView x, weight, bias, mean, variance;
  View y;
  double eps = 1e-5;
};
extern KernelSlot<BatchNormArgs> batch_norm_slot;
extern KernelSlot<BatchNormBackwardArgs> batch_norm_backward_slot;
extern KernelSlot<BatchNormInferenceArgs> batch_norm_inference_slot;

}  // namespace reprise
