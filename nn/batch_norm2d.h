#pragma once
#include <cstdint>

#include "reprise/nn/module.h"
#include "reprise/ops/statistics.h"

namespace reprise {
struct BatchNormOutputs;
}

namespace reprise::nn {

struct BatchNorm2dOptions {
  double eps = 1e-5;
  double momentum = 0.1;
};

// Normalizes each channel of x [n, h, w, channels] (any leading extents): in training by the batch's statistics, in
// evaluation by the running ones; then scales by weight and shifts by bias, [channels], which begin as 1 and 0.
//
// A training call moves the running statistics, once:
//   running = (1 - momentum) running + momentum batch
// with the unbiased variance of the batch, as in PyTorch. That is module code, outside ops and off the tape: a region's
// replay does not do it again, and a dry run does not do it at all.
// A module must name the BatchNorm2d itself in visit(), not only its weight and bias. Else the optimizer's step is a
// UserError, because evaluation would use the batch's statistics.
struct BatchNorm2d : Module {
  Tensor weight, bias, running_mean, running_var;
  BatchNorm2dOptions options;
  explicit BatchNorm2d(std::int64_t channels, BatchNorm2dOptions options = {});
  Tensor operator()(Tensor x);
  // relu(this(x)), in one op where one exists.
  Tensor then_relu(Tensor x);
  // relu(this(x) + residual), in one op where one exists.
  Tensor then_add_relu(Tensor x, Tensor residual);
  void visit(Visitor& visitor) override;
  DType parameter_dtype(DType network) const override { return statistics_dtype(network); }

 private:
  Tensor evaluated(Tensor x) const;
  // Moves the running statistics by the batch's; gives y.
  Tensor moved_by(BatchNormOutputs outputs);
};

}  // namespace reprise::nn
