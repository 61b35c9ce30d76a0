#pragma once
// detach(x): the same bytes, untracked: gradients stop here. Every dtype. A view.
#include "reprise/autograd/op.h"

namespace reprise {

Tensor detach(Tensor x);

}  // namespace reprise
