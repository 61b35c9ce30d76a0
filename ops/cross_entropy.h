#pragma once
// cross_entropy: the mean over the positions that count of
//   (1 - s) (lse - x[target]) + s (lse - mean(x)),   lse = log(sum(exp(x))), s = label_smoothing
//
// logits [.., classes] (PyTorch has classes second), targets i64 of the leading shape, in [0, classes) or
// ignore_index; loss: a scalar of statistics_dtype (statistics.h); NaN when every target is ignored. A second
// output [..], not differentiable, of the same dtype, is lse less the highest logit of the row. The gradient needs that
// difference: lse itself would lose digits if the logits are large. Saves logits, targets and the second output.
// UserError for a target out of range, naming its place; the gradient op has no gradient.
#include <cstdint>
#include <string>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

struct CrossEntropyOptions {
  std::int64_t ignore_index = -100;
  double label_smoothing = 0.0;
};
std::string to_string(const CrossEntropyOptions& options);
Tensor cross_entropy(Tensor logits, Tensor targets, CrossEntropyOptions options = {});

// All by the logits' dtype. Targets have been checked; positions = targets.numel. log_sum is the logarithm of
// sum(exp(x - highest)), highest the highest logit of the row.
struct CrossEntropyArgs {
  ConstView logits, targets;
  View loss, log_sum;
  CrossEntropyOptions options;
};
// dlogits = dloss / count ((exp(x - highest - log_sum) - s / classes) - (1 - s) [class = target]), 0 where ignored.
struct CrossEntropyBackwardArgs {
  ConstView dloss, logits, targets, log_sum;
  View dlogits;
  CrossEntropyOptions options;
};
extern KernelSlot<CrossEntropyArgs> cross_entropy_slot;
extern KernelSlot<CrossEntropyBackwardArgs> cross_entropy_backward_slot;

}  // namespace reprise
