#pragma once
// relu(x) = max(x, 0), floating; NaN stays NaN. Gradient: g where the output is positive. It saves its output, so that
// whoever made x may let go of it: no mask is stored.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> relu_slot;
extern KernelSlot<GradientArgs> relu_backward_slot;  // saved: the output

Tensor relu(Tensor x);
Tensor relu_backward(Tensor gradient, Tensor y);  // gradient where y > 0, else 0

}  // namespace reprise
