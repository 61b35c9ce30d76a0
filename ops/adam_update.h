#pragma once
// One parameter's step of Adam, or of AdamW where the weight decay is decoupled:
//
//   in the gradient:  g = gradient + weight_decay p
//   decoupled:        g = gradient, p = (1 - lr weight_decay) p
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   p = p - lr / correction1 m / (sqrt(v) / sqrt(correction2) + eps)
#include "reprise/ops/update_list.h"

namespace reprise {

enum class WeightDecay { in_gradient, decoupled };

struct AdamArgs {
  View parameter;  // f32 or f64
  View rounded;    // optional: bf16 or f16, written with what `parameter`, its master, becomes
  ConstView gradient;
  View m, v;
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  WeightDecay weight_decay_kind = WeightDecay::in_gradient;
  double correction1 = 1;  // 1 - beta1^t in step t, from 1 on
  double correction2 = 1;  // 1 - beta2^t
};
extern KernelSlot<UpdateListArgs<AdamArgs>> adam_slot;  // by the parameters' dtype

}  // namespace reprise
