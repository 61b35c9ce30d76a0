#pragma once
// maximum(a, b) and minimum(a, b), element by element, broadcasting as add does; NaN where one is NaN. Equal dtypes: f32,
// f64, i32, i64. Gradients: g for the operand that was chosen, half of g for each where they are equal. If one is NaN both
// get g, as in PyTorch. Both inputs are saved.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<BinaryArgs> maximum_slot;
extern KernelSlot<BinaryArgs> minimum_slot;

Tensor maximum(Tensor a, Tensor b);
Tensor minimum(Tensor a, Tensor b);

}  // namespace reprise
