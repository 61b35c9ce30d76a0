#pragma once
// sum_to(x, shape): the sum over what broadcasting repeated, so that the result has `shape`. sum_to is the gradient of a
// broadcast. `shape` must broadcast to x's (UserError). Every dtype; sums of integers and bool are i64, as those of sum.
// x itself where the shapes are equal.
// broadcast_to(x, shape): x repeated until the result has `shape`; every dtype. x itself where the shapes are equal. Each is
// the other's gradient; nothing is saved.
#include "reprise/autograd/op.h"

namespace reprise {

// y[...] = scale * the sum of x over the dimensions where y's extent is 1 and x's is not. y has x's rank.
struct SumArgs {
  ConstView x;
  View y;
  Shape kept;  // x's shape with 1 where it is summed; y's own shape may lack those
  double scale = 1;
};
// By x's dtype, every one; f32 adds in double. y has summed_dtype(x's dtype).
extern KernelSlot<SumArgs> sum_slot;
constexpr DType summed_dtype(DType dtype) { return is_floating(dtype) ? dtype : DType::i64; }

struct BroadcastToArgs {
  ConstView x;
  View y;
};
extern KernelSlot<BroadcastToArgs> broadcast_to_slot;  // every dtype

Tensor sum_to(Tensor x, const Shape& shape);
Tensor broadcast_to(Tensor x, const Shape& shape);

}  // namespace reprise
