#pragma once
// nll_loss: minus the mean of log_probabilities[target], over the targets that are not -100 (PyTorch's
// ignore_index). log_probabilities [.., classes], targets i64 of the leading shape. The loss is a scalar:
// f32 for 16 bits, else of the same dtype. Saves targets.
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor nll_loss(Tensor log_probabilities, Tensor targets);

// By the dtype of log_probabilities (dloss in the gradient). Targets have been checked.
struct NllLossArgs {
  ConstView log_probabilities, targets;
  View loss;
  std::int64_t ignore_index = -100;
};
struct NllLossBackwardArgs {
  ConstView dloss, targets;
  View dx;
  std::int64_t ignore_index = -100;
};
extern KernelSlot<NllLossArgs> nll_loss_slot;
extern KernelSlot<NllLossBackwardArgs> nll_loss_backward_slot;

}  // namespace reprise
