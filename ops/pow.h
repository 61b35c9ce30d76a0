#pragma once
// pow(x, exponent), floating; NaN for a negative x with an exponent that is no whole number. Gradient:
// g * exponent * x^(exponent - 1), from the saved input.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<ScalarArgs> pow_slot;  // value: the exponent

Tensor pow(Tensor x, double exponent);

}  // namespace reprise
