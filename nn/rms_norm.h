#pragma once
#include <cstdint>

#include "reprise/nn/module.h"
#include "reprise/ops/statistics.h"

namespace reprise::nn {

struct RMSNormOptions {
  double eps = 1e-6;
};

// Divides the last dimension of x [.., width] by its root mean square, then scales by weight, [width], which begins as 1.
struct RMSNorm : Module {
  Tensor weight;
  RMSNormOptions options;
  explicit RMSNorm(std::int64_t width, RMSNormOptions options = {});
  Tensor operator()(Tensor x);
  void visit(Visitor& visitor) override;
  DType parameter_dtype(DType network) const override { return statistics_dtype(network); }
};

}  // namespace reprise::nn
