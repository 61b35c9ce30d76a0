#pragma once
// sum_to(x, shape): the sum over what broadcasting repeated, so that the result has `shape`: the gradient of a
// broadcast. x itself where the shapes are equal. `shape` must broadcast to x's (UserError). Floating and integer.
// broadcast_to(x, shape): x repeated until it has `shape`, every dtype; x itself where the shapes are equal. Each is the
// other's gradient; nothing is saved.
#include "reprise/autograd/op.h"

namespace reprise {

// y[...] = scale * the sum of x over the dimensions where y's extent is 1 and x's is not. y has x's rank.
struct SumArgs {
  ConstView x;
  View y;
  Shape kept;  // x's shape with 1 where it is summed; y's own shape may lack those
  double scale = 1;
};
extern KernelSlot<SumArgs> sum_slot;  // f32, f64, i32, i64; f32 adds in double

struct BroadcastToArgs {
  ConstView x;
  View y;
};
extern KernelSlot<BroadcastToArgs> broadcast_to_slot;  // every dtype

Tensor sum_to(Tensor x, const Shape& shape);
Tensor broadcast_to(Tensor x, const Shape& shape);

}  // namespace reprise
