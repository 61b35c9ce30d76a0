#pragma once
// log(x), the natural logarithm, floating: -inf at 0, NaN below. Gradient: g / x, from the saved input.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> log_slot;

Tensor log(Tensor x);

}  // namespace reprise
