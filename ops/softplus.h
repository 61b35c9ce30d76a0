#pragma once
// softplus(x) = log(1 + exp(x)), floating, computed as max(x, 0) + log1p(exp(-|x|)) so that nothing overflows.
// Gradient: g * sigmoid(x), from the saved input.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> softplus_slot;

Tensor softplus(Tensor x);

}  // namespace reprise
