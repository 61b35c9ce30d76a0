#pragma once
// Pooling and flattening as modules; images are NHWC.
#include "reprise/nn/module.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {

struct MaxPool2d : Module {
  Pool2dOptions options;
  explicit MaxPool2d(Pool2dOptions o) : options(o) {}
  Tensor operator()(Tensor x) { return max_pool2d(std::move(x), options); }
  void visit(Visitor&) override {}
};

struct AvgPool2d : Module {
  Pool2dOptions options;
  explicit AvgPool2d(Pool2dOptions o) : options(o) {}
  Tensor operator()(Tensor x) { return avg_pool2d(std::move(x), options); }
  void visit(Visitor&) override {}
};

struct AdaptiveAvgPool2d : Module {
  Pair output_size;
  explicit AdaptiveAvgPool2d(Pair size) : output_size(size) {}
  Tensor operator()(Tensor x) { return adaptive_avg_pool2d(std::move(x), output_size); }
  void visit(Visitor&) override {}
};

// The mean of each channel: [n, h, w, c] to [n, c].
struct GlobalAvgPool2d : Module {
  Tensor operator()(Tensor x) { return mean(std::move(x), {1, 2}); }
  void visit(Visitor&) override {}
};

// Joins the dimensions from `start` on: by default [n, h, w, c] to [n, h * w * c].
struct Flatten : Module {
  int start;
  explicit Flatten(int s = 1) : start(s) {}
  Tensor operator()(Tensor x) { return flatten(std::move(x), start); }
  void visit(Visitor&) override {}
};

}  // namespace reprise::nn
