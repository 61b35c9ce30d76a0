#pragma once
// One parameter's step of stochastic gradient descent:
//
//   g = gradient + weight_decay p
//   b = momentum b + g         (b = g in the first step)
//   p = p - lr b               (nesterov: p - lr (g + momentum b); without momentum: p - lr g)
#include "reprise/ops/update_list.h"

namespace reprise {

struct SGDArgs {
  View parameter;  // f32 or f64
  View rounded;    // optional: bf16 or f16, written with what `parameter`, its master, becomes
  ConstView gradient;
  View momentum_buffer;  // data is null without momentum
  double lr = 0, momentum = 0, weight_decay = 0;
  bool nesterov = false;
  bool first = false;  // momentum_buffer holds nothing yet
};
extern KernelSlot<UpdateListArgs<SGDArgs>> sgd_slot;  // by the parameters' dtype

}  // namespace reprise
