#pragma once
// where(condition, a, b): a's element where the condition is 1, b's where it is 0; the three broadcast as add's operands do.
// condition is boolean; a and b have equal dtypes, any. Gradients: g where it was chosen, else 0, summed over what was repeated.
// Saves the condition.
#include "reprise/ops/elementwise.h"

namespace reprise {

struct WhereArgs {
  ConstView condition, a, b;
  View y;
};
extern KernelSlot<WhereArgs> where_slot;  // by a's dtype

Tensor where(Tensor condition, Tensor a, Tensor b);

}  // namespace reprise
