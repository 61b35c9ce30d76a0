#include "reprise/ops/layer_norm.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<LayerNormArgs> layer_norm_slot{"layer_norm"};
constinit KernelSlot<LayerNormBackwardArgs> layer_norm_backward_slot{"layer_norm_backward"};

namespace {

// Inputs dy, x, weight, mean, rstd; outputs dx, then dweight and dbias, each where asked for.
struct LayerNormBackward final : KernelOp<LayerNormBackwardArgs> {
  bool input_gradient, weight_gradients;
  LayerNormBackward(bool dx, bool dweight)
      : KernelOp("layer_norm_backward", layer_norm_backward_slot),
        input_gradient(dx),
        weight_gradients(dweight) {}

  std::string attributes() const override {
    return fmt::format("input_gradient={} weight_gradients={}", input_gradient, weight_gradients);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_shape("layer_norm_backward", in[0], in[1]);
    std::vector<ValueInfo> out;
    if (input_gradient) out.push_back(in[1]);
    if (weight_gradients) out.insert(out.end(), 2, in[2]);
    return out;
  }
  LayerNormBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    LayerNormBackwardArgs args{in[0], in[1], in[2], in[3], in[4], {}, {}, {}};
    if (input_gradient) args.dx = out[0];
    if (weight_gradients) {
      args.dweight = out[out.size() - 2];
      args.dbias = out[out.size() - 1];
    }
    return args;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 8.0 * static_cast<double>(in[0].shape.numel());
  }
};

// Outputs y, mean, rstd.
struct LayerNorm final : KernelOp<LayerNormArgs> {
  double eps;
  explicit LayerNorm(double e) : KernelOp("layer_norm", layer_norm_slot), eps(e) {}

  std::string attributes() const override { return fmt::format("eps={}", eps); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo& x = in[0];
    require_floating("layer_norm", x);
    if (x.shape.rank() < 1 || x.shape[-1] < 1)
      throw UserError(
          fmt::format("layer_norm: x {} must be [.., width] with width at least 1", to_string(x.shape)));
    for (std::size_t i : {1U, 2U}) {
      if (in[i].dtype != x.dtype && in[i].dtype != statistics_dtype(x.dtype))
        throw UserError(fmt::format("layer_norm: {} is {} but x is {}: convert one with .to(DType)",
                                    i == 1 ? "weight" : "bias", to_string(in[i].dtype), to_string(x.dtype)));
      if (!(in[i].shape == Shape({x.shape[-1]})))
        throw UserError(fmt::format("layer_norm: {} {} does not fit x {}: it must be [width] = [{}]",
                                    i == 1 ? "weight" : "bias", to_string(in[i].shape), to_string(x.shape),
                                    x.shape[-1]));
    }
    const ValueInfo statistics = {x.shape.without(-1), statistics_dtype(x.dtype), x.device};
    return {x, statistics, statistics};
  }
  LayerNormArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in[2], out[0], out[1], out[2], eps};
  }
  Saved saves(Needs) const override { return {.inputs = {0, 1}, .outputs = {1, 2}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const bool weights = context.needs(1) || context.needs(2);
    // Detached: the statistics carry no gradient, and differentiating again is to stop at the gradient op.
    std::vector<Tensor> out = record(std::make_shared<const LayerNormBackward>(context.needs(0), weights),
                                     tensors(gradients[0], context.inputs[0], context.inputs[1],
                                             context.outputs[1].detach(), context.outputs[2].detach()));
    std::vector<Tensor> result(3);
    if (context.needs(0)) result[0] = std::move(out.front());
    if (context.needs(1)) result[1] = std::move(out[out.size() - 2]);
    if (context.needs(2)) result[2] = std::move(out[out.size() - 1]);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 6.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor layer_norm(Tensor x, Tensor weight, Tensor bias, double eps) {
  return record(LayerNorm(eps), std::move(x), std::move(weight), std::move(bias));
}

}  // namespace reprise
