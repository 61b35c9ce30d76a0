#pragma once
// mul(a, b) = a * b, element by element, broadcasting as add does. Equal dtypes (f32, f64, i32, i64). Gradients: g * b and
// g * a, summed over what was repeated. Each saves the other operand only.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<BinaryArgs> mul_slot;
extern KernelSlot<ScalarArgs> mul_scalar_slot;

Tensor mul(Tensor a, Tensor b);
Tensor mul_scalar(Tensor x, Scalar value);  // x * value; for integers a whole number in their range

inline Tensor operator*(Tensor a, Tensor b) { return mul(std::move(a), std::move(b)); }
inline Tensor operator*(Tensor x, Scalar value) { return mul_scalar(std::move(x), value); }
inline Tensor operator*(Scalar value, Tensor x) { return mul_scalar(std::move(x), value); }

}  // namespace reprise
