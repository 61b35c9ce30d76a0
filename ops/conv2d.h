#pragma once
// conv2d: cross-correlation of images, as PyTorch's, in NHWC.
//
//   y[n, p, q, o] = bias[o] + sum over i, j, c of weight[o, i, j, c] x[n, h, w, first(o) + c]
//   h = p stride.h + i dilation.h - padding.h,  w = q stride.w + j dilation.w - padding.w
//
// x [n, h, w, in], weight [out, kernel h, kernel w, in / groups], bias [out] or undefined, y [n, p, q, out];
// p = (h + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down. Outside the image x is 0. With
// groups, output o reads the in / groups channels from first(o) = (o / (out / groups)) (in / groups). dtypes
// equal and floating. Saves weight for x's gradient and x for weight's. The gradients have gradients of their
// own.
//
// On the CPU, 3x3 convolutions of stride 1 with at least 32 channels are computed in tiles of 4x4 pixels (Winograd's
// method, cpu/winograd.h). Errors are then relative to the largest pixel near the tile, and NaN or infinity reaches the
// whole tile.
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"
#include "reprise/ops/pair.h"

namespace reprise {

struct Conv2dFunctionOptions {
  Pair stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;
};
Tensor conv2d(Tensor x, Tensor weight, Tensor bias = {}, Conv2dFunctionOptions options = {});

// The gradient of x, of shape `input`.
Tensor conv2d_backward_input(Tensor dy, Tensor weight, const Shape& input, Conv2dFunctionOptions options);

// The gradient of weight, whose kernel has this size.
Tensor conv2d_backward_weight(Tensor dy, Tensor x, Pair kernel_size, Conv2dFunctionOptions options);
// With the gradient of bias, from the same pass over dy.
struct Conv2dWeightGradients {
  Tensor weight, bias;
};
Conv2dWeightGradients conv2d_backward_weight_and_bias(Tensor dy, Tensor x, Pair kernel_size,
                                                      Conv2dFunctionOptions options);

// All by x's dtype (that of dy in the gradients).
struct Conv2dArgs {
  ConstView x, weight;
  ConstView bias;  // optional: info is null without
  View y;
  Conv2dFunctionOptions options;
};
struct Conv2dBackwardInputArgs {
  ConstView dy, weight;
  View dx;
  Conv2dFunctionOptions options;
};
struct Conv2dBackwardWeightArgs {
  ConstView dy, x;
  View dweight;
  View dbias;  // optional: info is null without
  Conv2dFunctionOptions options;
};
extern KernelSlot<Conv2dArgs> conv2d_slot;
extern KernelSlot<Conv2dBackwardInputArgs> conv2d_backward_input_slot;
extern KernelSlot<Conv2dBackwardWeightArgs> conv2d_backward_weight_slot;

}  // namespace reprise
