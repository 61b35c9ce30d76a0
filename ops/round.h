#pragma once
// round(x): to the nearest whole number, halves to the even one, floating. Its gradient is zero; nothing is saved.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> round_slot;

Tensor round(Tensor x);

}  // namespace reprise
