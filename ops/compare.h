#pragma once
// Comparisons, element by element, broadcasting as add does: boolean, 1 where it holds. Equal dtypes: f32, f64, i32, i64,
// u8, boolean. With NaN all but not_equal are 0. No gradient; the result is untracked. An integer or boolean x is compared
// with a number itself: fractions and numbers out of x's range keep their value. For a floating x the number is rounded to
// x's dtype.
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

Tensor equal(Tensor x, Scalar value);
Tensor not_equal(Tensor x, Scalar value);
Tensor less(Tensor x, Scalar value);
Tensor less_equal(Tensor x, Scalar value);
Tensor greater(Tensor x, Scalar value);
Tensor greater_equal(Tensor x, Scalar value);

}  // namespace reprise
