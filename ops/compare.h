#pragma once
// Comparisons, element by element, broadcasting as add does: boolean, 1 where it holds. Equal dtypes: f32, f64, i32, i64,
// u8, boolean. With NaN all but not_equal are 0. No gradient; the result is untracked. The forms with a number compare
// with that number converted to x's dtype.
#include "reprise/ops/elementwise.h"

namespace reprise {

extern KernelSlot<BinaryArgs> equal_slot;
extern KernelSlot<BinaryArgs> not_equal_slot;
extern KernelSlot<BinaryArgs> less_slot;
extern KernelSlot<BinaryArgs> less_equal_slot;
extern KernelSlot<BinaryArgs> greater_slot;
extern KernelSlot<BinaryArgs> greater_equal_slot;

Tensor equal(Tensor a, Tensor b);
Tensor not_equal(Tensor a, Tensor b);
Tensor less(Tensor a, Tensor b);
Tensor less_equal(Tensor a, Tensor b);
Tensor greater(Tensor a, Tensor b);
Tensor greater_equal(Tensor a, Tensor b);

Tensor equal(Tensor x, double value);
Tensor not_equal(Tensor x, double value);
Tensor less(Tensor x, double value);
Tensor less_equal(Tensor x, double value);
Tensor greater(Tensor x, double value);
Tensor greater_equal(Tensor x, double value);

}  // namespace reprise
