#pragma once
// argmax(x, dim): the place of the greatest element along one dimension, which is removed: i64, the first of equal ones; a NaN
// counts as the greatest. x: f32, f64, i32, i64. UserError where the dimension is empty. No gradient; the result is untracked.
#include "reprise/autograd/op.h"

namespace reprise {

struct ArgmaxArgs {
  ConstView x;
  View y;
  int dim;
};
extern KernelSlot<ArgmaxArgs> argmax_slot;  // by x's dtype

Tensor argmax(Tensor x, int dim);

}  // namespace reprise
