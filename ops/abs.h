#pragma once
// abs(x) = |x|, floating. Gradient: g * sign(x), 0 at 0, from the saved input.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> abs_slot;
extern KernelSlot<GradientArgs> abs_backward_slot;  // saved: the input

Tensor abs(Tensor x);
Tensor abs_backward(Tensor gradient, Tensor x);  // gradient * sign(x)

}  // namespace reprise
