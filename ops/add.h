#pragma once
// add(a, b) = a + b, element by element, broadcasting as NumPy does: shapes are aligned at the last dimension, and an
// extent of 1 is repeated. Equal dtypes (f32, f64, i32, i64) and devices. Gradients: g for both, summed over what was
// repeated. Nothing is saved.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<BinaryArgs> add_slot;
extern KernelSlot<ScalarArgs> add_scalar_slot;

Tensor add(Tensor a, Tensor b);
Tensor add_scalar(Tensor x, Scalar value);  // x + value; for integers a whole number in their range

inline Tensor operator+(Tensor a, Tensor b) { return add(std::move(a), std::move(b)); }
inline Tensor operator+(Tensor x, Scalar value) { return add_scalar(std::move(x), value); }
inline Tensor operator+(Scalar value, Tensor x) { return add_scalar(std::move(x), value); }

}  // namespace reprise
