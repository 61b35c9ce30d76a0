#pragma once
// y [m, n] = a^T b for row-major a [k, m] and b [k, n] that are far longer than wide: the gradient of a 1x1 convolution's
// weight over many pixels. y stays in a near cache while a and b stream through once, untransposed, which oneDNN's
// product would copy first.
#include <cstddef>
#include <cstdint>
#include <span>

namespace reprise::cpu {

struct TallProduct {
  std::int64_t m = 0, n = 0, k = 0;

  // Whether this is faster than oneDNN's: seen with AVX-512, from a few thousand rows and up to 2^17 elements of y on.
  bool pays() const;
  std::size_t workspace() const;  // bytes
  // In f32. The order of summation follows from the extents, so the bits do not depend on the number of threads.
  void run(const float* a, const float* b, float* y, std::span<std::byte> workspace) const;
};

}  // namespace reprise::cpu
