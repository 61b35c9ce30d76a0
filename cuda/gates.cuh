#pragma once
// Arguments of gates (silu and gelu), kept to the range in which their formulas do not overflow. NaN stays.
#include <limits>

namespace reprise::cuda {

// For values: minus infinity times a gate of 0 is to be 0.
template <class T>
__device__ T not_below_lowest(T x) {
  constexpr T kLowest = std::numeric_limits<T>::lowest();
  return x < kLowest ? kLowest : x;
}

// For derivatives: further out they are 0 or 1.
template <class T>
__device__ T near_zero(T x, T most) {
  return x < -most ? -most : x > most ? most : x;
}

}  // namespace reprise::cuda
