#pragma once
// max(x, dims) and min(x, dims): the greatest and smallest elements over some dimensions, as sum does; NaN where one is NaN. f32,
// f64, i32, i64. UserError where a reduced dimension is empty. The gradient is split evenly among the elements that tie, as
// PyTorch's amax does (where the result is NaN, among the NaNs); x and the output are saved. argmax gives the places.
#include "reprise/ops/sum.h"

namespace reprise {

struct MaxArgs {
  ConstView x;
  View y;
  Shape kept;  // x's shape with 1 in place of each reduced extent
};
extern KernelSlot<MaxArgs> max_slot;
extern KernelSlot<MaxArgs> min_slot;

Tensor max(Tensor x, Dims dims, ReduceOptions options = {});
Tensor min(Tensor x, Dims dims, ReduceOptions options = {});

}  // namespace reprise
