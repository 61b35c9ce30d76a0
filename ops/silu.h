#pragma once
// silu(x) = x * sigmoid(x), floating (Elfwing et al., 2017). Gradient: g * (s + x * s * (1 - s)) with s = sigmoid(x), from
// the saved input.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> silu_slot;
extern KernelSlot<GradientArgs> silu_backward_slot;  // saved: the input

Tensor silu(Tensor x);
Tensor silu_backward(Tensor gradient, Tensor x);  // gradient * (s + x * s * (1 - s))

}  // namespace reprise
