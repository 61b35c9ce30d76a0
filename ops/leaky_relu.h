#pragma once
// leaky_relu(x) = x where x > 0, else negative_slope * x; floating. Gradient: g or g * negative_slope. It saves its output,
// whose sign is x's, so that whoever made x may let go of it; with a negative slope, its input.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<ScalarArgs> leaky_relu_slot;  // value: the slope

struct LeakyReluBackwardArgs {  // dx = gradient where saved > 0, else negative_slope * gradient
  ConstView gradient, saved;
  double negative_slope;
  View dx;
};
extern KernelSlot<LeakyReluBackwardArgs> leaky_relu_backward_slot;

Tensor leaky_relu(Tensor x, double negative_slope = 0.01);
Tensor leaky_relu_backward(Tensor gradient, Tensor saved, double negative_slope);

}  // namespace reprise
