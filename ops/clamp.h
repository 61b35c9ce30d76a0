#pragma once
// clamp(x, min, max) = x limited to [min, max], floating; NaN stays NaN. Gradient: g where min <= x <= max, else 0, from the
// saved input. UserError when min > max.
#include "reprise/ops/elementwise.h"

namespace reprise {

struct ClampArgs {
  ConstView x;
  double min, max;
  View y;
};
struct ClampBackwardArgs {  // dx = gradient where min <= x <= max, else 0
  ConstView gradient, x;
  double min, max;
  View dx;
};
extern KernelSlot<ClampArgs> clamp_slot;
extern KernelSlot<ClampBackwardArgs> clamp_backward_slot;

Tensor clamp(Tensor x, double min, double max);
Tensor clamp_backward(Tensor gradient, Tensor x, double min, double max);

}  // namespace reprise
