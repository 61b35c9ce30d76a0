#pragma once
// The dtype that a gradient composed of ops is computed in: f32 for 16 bits. The engine then rounds the gradient once, when it
// passes the gradient on. Other dtypes stay as they are.
#include "reprise/ops/cast.h"

namespace reprise {

inline Tensor widened(Tensor x) {
  const DType dtype = gradient_dtype(x.dtype());
  return cast(std::move(x), dtype);
}

}  // namespace reprise
