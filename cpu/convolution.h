#pragma once
// One pass of a convolution, on images [n, h, w, c] and weights [out, h, w, in] as the ops keep them: what the ways to
// compute it, a product, Winograd's method or oneDNN's convolutions, choose by.
#include <cstdint>

#include "reprise/ops/conv2d.h"

namespace reprise::cpu {

enum class ConvolutionPass { forward, backward_input, backward_weight };

struct Convolution {
  ConvolutionPass pass;
  std::int64_t n, h, w, in;              // x
  std::int64_t out, kernel_h, kernel_w;  // weight [out, kernel_h, kernel_w, in / groups]
  std::int64_t p, q;                     // y [n, p, q, out]
  Conv2dFunctionOptions options;
  DType dtype = DType::f32;  // or bf16, of everything but the gradients of weight and bias, which are f32
  bool bias;                 // forward: added; backward_weight: its gradient is wanted
};

}  // namespace reprise::cpu
