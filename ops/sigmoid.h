#pragma once
// sigmoid(x) = 1 / (1 + exp(-x)), floating. Gradient: g * y * (1 - y), from the saved output y.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> sigmoid_slot;
extern KernelSlot<GradientArgs> sigmoid_backward_slot;  // saved: the output

Tensor sigmoid(Tensor x);
Tensor sigmoid_backward(Tensor gradient, Tensor y);  // gradient * y * (1 - y)

}  // namespace reprise
