#pragma once
// binary_cross_entropy_with_logits: the mean of max(x, 0) - x t + log(1 + exp(-|x|)), for logits x and
// targets t in [0, 1]. Shapes and dtypes equal; loss: a scalar, f32 for 16 bits, else of the same dtype; NaN for no
// elements. Saves both; d loss / dx = (sigmoid(x) - t) / count, for 16 bits computed in f32.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor binary_cross_entropy_with_logits(Tensor logits, Tensor targets);

struct BinaryCrossEntropyArgs {
  ConstView logits, targets;
  View loss;
};
extern KernelSlot<BinaryCrossEntropyArgs> binary_cross_entropy_slot;  // by the logits' dtype

}  // namespace reprise
