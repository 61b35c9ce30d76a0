#pragma once
// div(a, b) = a / b, element by element, broadcasting as add does. Equal floating dtypes. Gradients: g / b and
// -g * (a / b) / b, summed over what was repeated; the second reads the output in place of a.
#include "reprise/ops/mul.h"

namespace reprise {

extern KernelSlot<BinaryArgs> div_slot;
extern KernelSlot<ScalarArgs> rdiv_slot;  // value / x

Tensor div(Tensor a, Tensor b);
Tensor rdiv(Tensor x, double value);  // value / x

inline Tensor operator/(Tensor a, Tensor b) { return div(std::move(a), std::move(b)); }
inline Tensor operator/(Tensor x, double value) { return mul_scalar(std::move(x), 1 / value); }
inline Tensor operator/(double value, Tensor x) { return rdiv(std::move(x), value); }

}  // namespace reprise
