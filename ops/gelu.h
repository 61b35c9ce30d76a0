#pragma once
// gelu(x) = x * Phi(x), floating (Hendrycks and Gimpel, 2016). Phi is the normal distribution function: exact,
// (1 + erf(x / sqrt 2)) / 2, or by the tanh approximation, (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. Gradient:
// g * (Phi(x) + x * Phi'(x)), from the saved input.
#include "reprise/ops/elementwise.h"

namespace reprise {

enum class Approximate { none, tanh };
struct GeluOptions {
  Approximate approximate = Approximate::none;
};

struct GeluArgs {
  ConstView x;
  Approximate approximate;
  View y;
};
struct GeluBackwardArgs {
  ConstView gradient, x;
  Approximate approximate;
  View dx;
};
extern KernelSlot<GeluArgs> gelu_slot;
extern KernelSlot<GeluBackwardArgs> gelu_backward_slot;

Tensor gelu(Tensor x, GeluOptions options = {});
Tensor gelu_backward(Tensor gradient, Tensor x, GeluOptions options = {});

}  // namespace reprise
