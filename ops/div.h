#pragma once
// div(a, b) = a / b, element by element, broadcasting as add does. Equal floating dtypes. The gradient of a is g / b, that of
// b is -g * ((a / b) / b), with the output in place of a / b. Both are summed over what was repeated. x / value is the quotient
// too, rounded once, never a product with 1 / value.
#include "reprise/ops/mul.h"

namespace reprise {

extern KernelSlot<BinaryArgs> div_slot;
extern KernelSlot<ScalarArgs> div_scalar_slot;  // x / value
extern KernelSlot<ScalarArgs> rdiv_slot;        // value / x

Tensor div(Tensor a, Tensor b);
Tensor div_scalar(Tensor x, double value);  // x / value
Tensor rdiv(Tensor x, double value);        // value / x

inline Tensor operator/(Tensor a, Tensor b) { return div(std::move(a), std::move(b)); }
inline Tensor operator/(Tensor x, double value) { return div_scalar(std::move(x), value); }
inline Tensor operator/(double value, Tensor x) { return rdiv(std::move(x), value); }

}  // namespace reprise
