#pragma once
// The dtype that a gradient composed of ops is computed in: f32 for 16 bits, so that the gradient is rounded once, where the
// engine passes the gradient on. Other dtypes stay as they are.
#include "reprise/ops/cast.h"

namespace reprise {

inline Tensor widened(Tensor x) {
  const DType dtype = gradient_dtype(x.dtype());
  return cast(std::move(x), dtype);
}

}  // namespace reprise
