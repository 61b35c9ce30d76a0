#pragma once
// Convolutions as cuDNN's operations.
#include "reprise/cuda/cudnn_graph.h"
#include "reprise/ops/conv2d.h"

namespace reprise::cuda {

enum class ConvolutionKind { forward, backward_input, backward_weight };

// Of x [n, h, w, in], weight [out, h, w, in / groups], y [n, p, q, out]; gradients have the shapes of what they are of, and
// all of it one dtype (cuDNN 9.19 has no engine for the weight's gradient in f32 of operands of 16 bits).
struct Convolution {
  ConvolutionKind kind = ConvolutionKind::forward;
  DType dtype = DType::f32;
  Shape x, weight, y;
  Pair stride = 1, padding = 0, dilation = 1;
  std::int64_t alignment = 16;  // of where the tensors begin, in bytes
  // Forward: a bias [out] is added in the same graph, before y is rounded.
  bool bias = false;
};

// The ids of the operations' tensors.
inline constexpr std::int64_t kImage = 1, kWeight = 2, kResult = 3, kBias = 4;

std::vector<Descriptor> convolution_operations(const Convolution& convolution);

// Engines that round are for f64 to refuse, and for f32 unless TF32 is allowed; numbers of 16 bits lose nothing.
inline PlanRequest plan_request(const Convolution& convolution, bool allow_tf32) {
  return {.tf32 = convolution.dtype == DType::f32 ? allow_tf32 : convolution.dtype != DType::f64};
}

}  // namespace reprise::cuda
