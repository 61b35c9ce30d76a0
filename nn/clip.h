#pragma once
// Clipping of gradients before an optimizer's step (Pascanu et al., 2013).
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise::nn {

// The 2-norm of all gradients together, in f64. Where it is above max_norm, the gradients are scaled in place by
// max_norm / (norm + 1e-6), as in PyTorch. Parameters without a gradient count nothing; one listed twice counts once.
// A norm that is not finite is returned, and gradients stay as they are. Equal results for any number of threads.
// In a dry run nothing is done and 0 returned. UserError when max_norm is not positive.
double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm);

}  // namespace reprise::nn
