#pragma once
// The three passes of a convolution by oneDNN, on images [n, h, w, c] and weights [out, h, w, in] as the ops keep them.
// Where a pass is faster in a layout of oneDNN's own, or only exists there (Winograd), operands are copied into it and
// back inside the workspace. Which way is taken depends on the shapes alone.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "reprise/cpu/dnnl_primitive.h"
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

// One pass, ready to run.
class ConvolutionPrimitive {
 public:
  struct Operand {
    int number;  // DNNL_ARG_*
    bool written;
    dnnl::memory::desc ours, theirs;  // equal: oneDNN works on the caller's buffer
  };
  template <class Description, class Primitive>
  ConvolutionPrimitive(const Description& description, const Primitive& primitive,
                       std::vector<Operand> operands);

  std::size_t workspace() const { return workspace_; }
  const char* implementation() const { return convolution_->implementation(); }

  // x, weight, y; for a gradient pass the gradient in the place of what it is of. bias or its gradient: null without.
  void run(const void* x, const void* weight, const void* bias, const void* y, std::byte* workspace) const;

 private:
  struct Place {
    bool written;
    std::size_t offset;  // in the workspace, where there is a copy
    std::unique_ptr<const DnnlPrimitive> copy;
  };
  std::vector<Place> places_;  // x, weight, y and maybe bias
  std::unique_ptr<const DnnlPrimitive> convolution_;
  std::size_t scratchpad_ = 0;  // its offset
  std::size_t workspace_ = 0;
};

// Null where oneDNN has nothing faster than its reference loops and where an extent is 0.
std::shared_ptr<const ConvolutionPrimitive> convolution_primitive(const Convolution& convolution);

// Is this convolution computed by Winograd's method (Lavin and Gray, 2016)? Fewer multiplications, errors about four times
// as large.
bool uses_winograd(const Convolution& convolution);

}  // namespace reprise::cpu
