#pragma once
// sqrt(x), floating: NaN below 0. Gradient: g / (2 sqrt(x)), from the saved output; infinite at 0.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> sqrt_slot;

Tensor sqrt(Tensor x);

}  // namespace reprise
