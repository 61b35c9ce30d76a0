#pragma once
// mse_loss: mean((a - b)^2). Shapes and dtypes equal (UserError: a broadcast here is most often a mistake);
// loss: a scalar, f32 for 16 bits, else of the same dtype; NaN for no elements. Saves both where one needs a gradient. The
// gradients of 16 bits are computed in f32.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor mse_loss(Tensor a, Tensor b);

struct MseLossArgs {
  ConstView a, b;
  View loss;
};
extern KernelSlot<MseLossArgs> mse_loss_slot;  // by a's dtype

}  // namespace reprise
