#pragma once
// reshape(x, shape): the same bytes with another shape of as many elements; one extent may be -1. x itself where the
// shapes are equal. flatten(x, start): the dimensions from start on as one. Every dtype. Views: nothing is computed
// or copied. Gradient: g reshaped back.
#include "reprise/autograd/op.h"

namespace reprise {

Tensor reshape(Tensor x, const OpenShape& shape);
Tensor flatten(Tensor x, int start = 0);

}  // namespace reprise
