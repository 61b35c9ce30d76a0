#pragma once
// What clipping of gradients computes, in place: not ops, and never on a tape.
#include "reprise/core/kernel_slot.h"

namespace reprise {

// The sum of squares of x in f64, into `result` on the host.
struct SquareSumArgs {
  ConstView x;
  double* result;
};
// x = factor x
struct ScaleInPlaceArgs {
  View x;
  double factor;
};
extern KernelSlot<SquareSumArgs> square_sum_slot;         // by x's dtype
extern KernelSlot<ScaleInPlaceArgs> scale_in_place_slot;  // by x's dtype

}  // namespace reprise
