#pragma once
// sub(a, b) = a - b, broadcasting as add does. Equal dtypes (f32, f64, i32, i64). Gradients: g and -g, summed over what was
// repeated. Nothing is saved.
#include "reprise/ops/add.h"

namespace reprise {

extern KernelSlot<BinaryArgs> sub_slot;
extern KernelSlot<ScalarArgs> rsub_slot;  // value - x

Tensor sub(Tensor a, Tensor b);
Tensor rsub(Tensor x, Scalar value);  // value - x; for integers a whole number in their range

inline Tensor operator-(Tensor a, Tensor b) { return sub(std::move(a), std::move(b)); }
inline Tensor operator-(Tensor x, Scalar value) { return add_scalar(std::move(x), -value); }
inline Tensor operator-(Scalar value, Tensor x) { return rsub(std::move(x), value); }

}  // namespace reprise
