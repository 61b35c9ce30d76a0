#pragma once
// tanh(x), floating. Gradient: g * (1 - y * y), from the saved output y.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> tanh_slot;
extern KernelSlot<GradientArgs> tanh_backward_slot;  // saved: the output

Tensor tanh(Tensor x);
Tensor tanh_backward(Tensor gradient, Tensor y);  // gradient * (1 - y * y)

}  // namespace reprise
