#pragma once
// Pooling and flattening as modules; images are NHWC.
#include "reprise/nn/module.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {

struct MaxPool2d : Stateless {
  Pool2dOptions options;
  explicit MaxPool2d(Pool2dOptions o) : options(o) {}
  Tensor operator()(Tensor x) { return max_pool2d(std::move(x), options); }
};

struct AvgPool2d : Stateless {
  Pool2dOptions options;
  explicit AvgPool2d(Pool2dOptions o) : options(o) {}
  Tensor operator()(Tensor x) { return avg_pool2d(std::move(x), options); }
};

struct AdaptiveAvgPool2d : Stateless {
  Pair output_size;
  explicit AdaptiveAvgPool2d(Pair size) : output_size(size) {}
  Tensor operator()(Tensor x) { return adaptive_avg_pool2d(std::move(x), output_size); }
};

// The mean of each channel: [n, h, w, c] to [n, c].
struct GlobalAvgPool2d : Stateless {
  Tensor operator()(Tensor x) { return mean(std::move(x), {1, 2}); }
};

// Joins the dimensions from `start` on: by default [n, h, w, c] to [n, h * w * c].
struct Flatten : Stateless {
  int start;
  explicit Flatten(int s = 1) : start(s) {}
  Tensor operator()(Tensor x) { return flatten(std::move(x), start); }
};

}  // namespace reprise::nn
