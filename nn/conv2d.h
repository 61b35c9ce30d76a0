#pragma once
#include <cstdint>

#include "reprise/nn/module.h"
#include "reprise/ops/pair.h"

namespace reprise::nn {

struct Conv2dOptions {
  Pair kernel_size = 1;
  Pair stride = 1;
  Pair padding = 0;
  Pair dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
};

// A convolution of images: x [n, h, w, in], y [n, h', w', out], weight [out, kernel h, kernel w, in / groups],
// bias [out]; see ops/conv2d.h. Both begin as U(-b, b), b = 1/sqrt(kernel h * kernel w * in / groups), as in PyTorch.
// UserError where groups does not divide in and out.
struct Conv2d : Module {
  Tensor weight, bias;
  Conv2dOptions options;
  Conv2d(std::int64_t in, std::int64_t out, Conv2dOptions options = {});
  Tensor operator()(Tensor x);
  void visit(Visitor& visitor) override;
};

}  // namespace reprise::nn
