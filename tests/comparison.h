#pragma once
// Compares the tensors of two runs.
#include "reprise/core/tensor.h"

namespace reprise::test {

// Both may be undefined.
bool same_bits(const Tensor& a, const Tensor& b);
// The root of the mean squared difference, relative to that of `exact`.
double relative_rms_error(const Tensor& actual, const Tensor& exact);

}  // namespace reprise::test
