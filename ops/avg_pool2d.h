#pragma once
// avg_pool2d: the mean of each window, per channel. x [n, h, w, c], y [n, p, q, c]; shapes and limits as
// max_pool2d's. Padding counts as zeros that are averaged over (PyTorch's count_include_pad = true). Saves
// nothing.
//
// adaptive_avg_pool2d: y has the given size; window i of n over an extent e is
// [floor(i e / n), ceil((i + 1) e / n)), as in PyTorch. With output size 1 it is the mean of each channel,
// [n, 1, 1, c]. Saves nothing.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"
#include "reprise/ops/max_pool2d.h"
#include "reprise/ops/pair.h"

namespace reprise {

Tensor avg_pool2d(Tensor x, Pool2dOptions options);
Tensor adaptive_avg_pool2d(Tensor x, Pair output_size);

// All by x's dtype (that of dy in the gradients). The stride is set.
struct AvgPool2dArgs {
  ConstView x;
  View y;
  Pair kernel_size = 2, stride = 2, padding = 0;
};
struct AvgPool2dBackwardArgs {
  ConstView dy;
  View dx;
  Pair kernel_size = 2, stride = 2, padding = 0;
};
struct AdaptiveAvgPool2dArgs {
  ConstView x;
  View y;
};
struct AdaptiveAvgPool2dBackwardArgs {
  ConstView dy;
  View dx;
};
extern KernelSlot<AvgPool2dArgs> avg_pool2d_slot;
extern KernelSlot<AvgPool2dBackwardArgs> avg_pool2d_backward_slot;
extern KernelSlot<AdaptiveAvgPool2dArgs> adaptive_avg_pool2d_slot;
extern KernelSlot<AdaptiveAvgPool2dBackwardArgs> adaptive_avg_pool2d_backward_slot;

}  // namespace reprise
