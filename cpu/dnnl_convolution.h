#pragma once
// The three passes of a convolution by oneDNN, on images [n, h, w, c] and weights [out, h, w, in] as the ops keep them.
// Where a pass is faster in a layout of oneDNN's own, or only exists there (Winograd), operands are copied into it and
// back inside the workspace. Which way is taken depends on the shapes alone.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "reprise/cpu/dnnl_operation.h"
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

// One pass; operands: x, weight, y; dy, weight, dx; dy, x, dweight; then the bias or its gradient where there is one.
// Null where oneDNN has nothing faster than its reference loops and where an extent is 0.
std::shared_ptr<const DnnlOperation> convolution_primitive(const Convolution& convolution);

// Is this convolution computed by Winograd's method (Lavin and Gray, 2016)? Fewer multiplications, errors about four times
// as large.
bool uses_winograd(const Convolution& convolution);

}  // namespace reprise::cpu
