#pragma once
// cast(x, dtype): the elements converted, between any two dtypes; x itself where the dtype is the same. Floating to
// floating rounds to nearest even, floating to integer truncates and saturates (NaN: 0),
// anything to boolean is != 0. Gradient: g cast back, where both dtypes are floating. Nothing is saved. The engine casts
// gradients too, so it is one of its intrinsics.
#include "reprise/autograd/intrinsics.h"
