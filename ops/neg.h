#pragma once
// neg(x) = -x. f32, f64, i32, i64. Gradient: -g. Nothing is saved.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<UnaryArgs> neg_slot;

Tensor neg(Tensor x);
inline Tensor operator-(Tensor x) { return neg(std::move(x)); }

}  // namespace reprise
