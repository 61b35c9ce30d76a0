#pragma once
#include <cstdint>

#include "reprise/nn/module.h"
#include "reprise/ops/statistics.h"

namespace reprise::nn {

struct LayerNormOptions {
  double eps = 1e-5;
};

// Normalizes the last dimension of x [.., width], then scales by weight and shifts by bias, [width], which begin as 1
// and 0.
struct LayerNorm : Module {
  Tensor weight, bias;
  LayerNormOptions options;
  explicit LayerNorm(std::int64_t width, LayerNormOptions options = {});
  Tensor operator()(Tensor x);
  void visit(Visitor& visitor) override;
  DType parameter_dtype(DType network) const override { return statistics_dtype(network); }
};

}  // namespace reprise::nn
