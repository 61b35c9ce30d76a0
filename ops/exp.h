#pragma once
// exp(x), floating. Gradient: g * exp(x), from the saved output.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> exp_slot;

Tensor exp(Tensor x);

}  // namespace reprise
