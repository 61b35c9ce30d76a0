#include "reprise/nn/batch_norm2d.h"

#include <fmt/format.h>

#include "reprise/autograd/op.h"
#include "reprise/core/memory.h"
#include "reprise/nn/init.h"
#include "reprise/ops/batch_norm.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {
namespace {

// (1 - momentum) running + momentum batch, in the dtype of the running value.
Tensor moved(const Tensor& running, Tensor batch, double momentum) {
  Tensor kept = (1.0 - momentum) * running.to(batch.dtype());
  Tensor value = std::move(kept) + momentum * std::move(batch);
  return std::move(value).to(running.dtype());
}

}  // namespace

BatchNorm2d::BatchNorm2d(std::int64_t channels, BatchNorm2dOptions o) : options(o) {
  if (channels < 1) throw UserError(fmt::format("nn::BatchNorm2d({}): channels is at least 1", channels));
  weight = init::constant({channels}, 1.0);
  bias = init::constant({channels}, 0.0);
  const memory::TagScope tag(memory::Tag::parameter);
  running_mean = Tensor::zeros({channels});
  running_var = Tensor::ones({channels});
}

Tensor BatchNorm2d::operator()(Tensor x) {
  if (!trains("nn::BatchNorm2d")) return evaluated(std::move(x));
  return moved_by(batch_norm(std::move(x), weight, bias, options.eps));
}

Tensor BatchNorm2d::then_relu(Tensor x) {
  if (!trains("nn::BatchNorm2d")) return relu(evaluated(std::move(x)));
  return moved_by(batch_norm_relu(std::move(x), weight, bias, options.eps));
}

Tensor BatchNorm2d::then_add_relu(Tensor x, Tensor residual) {
  if (!trains("nn::BatchNorm2d")) return relu(evaluated(std::move(x)) + std::move(residual));
  return moved_by(batch_norm_add_relu(std::move(x), std::move(residual), weight, bias, options.eps));
}

Tensor BatchNorm2d::evaluated(Tensor x) const {
  return batch_norm_inference(std::move(x), weight, bias, running_mean, running_var, options.eps);
}

Tensor BatchNorm2d::moved_by(BatchNormOutputs outputs) {
  const std::int64_t places = outputs.y.numel() / outputs.y.size(-1);
  const auto count = static_cast<double>(places);
  const NoGrad no_grad;
  Tensor variance = 1.0 / (outputs.rstd * outputs.rstd) - options.eps;
  assign_state(running_mean, moved(running_mean, std::move(outputs.mean), options.momentum));
  assign_state(running_var,
               moved(running_var, std::move(variance) * (count / (count - 1.0)), options.momentum));
  return std::move(outputs.y);
}

void BatchNorm2d::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
  visitor.buffer("running_mean", running_mean);
  visitor.buffer("running_var", running_var);
}

}  // namespace reprise::nn
