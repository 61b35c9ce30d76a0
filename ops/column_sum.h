#pragma once
// column_sum: y[c] = sum over all leading dimensions of x[.., c]: the gradient of a bias. x [.., n], y [n];
// floating.
#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor column_sum(Tensor x);

struct ColumnSumArgs {
  ConstView x;
  View y;
};
extern KernelSlot<ColumnSumArgs> column_sum_slot;  // by x's dtype

}  // namespace reprise
