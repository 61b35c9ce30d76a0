#include "reprise/ops/rms_norm.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<RmsNormArgs> rms_norm_slot{"rms_norm"};
constinit KernelSlot<RmsNormBackwardArgs> rms_norm_backward_slot{"rms_norm_backward"};

namespace {

// Inputs dy, x, weight, rstd; outputs dx, then dweight, each where asked for.
struct RmsNormBackward final : KernelOp<RmsNormBackwardArgs> {
  bool input_gradient, weight_gradient;
  RmsNormBackward(bool dx, bool dweight)
      : KernelOp("rms_norm_backward", rms_norm_backward_slot), input_gradient(dx), weight_gradient(dweight) {}

  std::string attributes() const override {
    return fmt::format("input_gradient={} weight_gradient={}", input_gradient, weight_gradient);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_shape("rms_norm_backward", in[0], in[1]);
    std::vector<ValueInfo> out;
    if (input_gradient) out.push_back(in[1]);
    if (weight_gradient) out.push_back(in[2]);
    return out;
  }
  RmsNormBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    RmsNormBackwardArgs args{in[0], in[1], in[2], in[3], {}, {}};
    if (input_gradient) args.dx = out.front();
    if (weight_gradient) args.dweight = out.back();
    return args;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 7.0 * static_cast<double>(in[0].shape.numel());
  }
};

// Outputs y, rstd.
struct RmsNorm final : KernelOp<RmsNormArgs> {
  double eps;
  explicit RmsNorm(double e) : KernelOp("rms_norm", rms_norm_slot), eps(e) {}

  std::string attributes() const override { return fmt::format("eps={}", eps); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo &x = in[0], &weight = in[1];
    require_floating("rms_norm", x);
    if (x.shape.rank() < 1 || x.shape[-1] < 1)
      throw UserError(
          fmt::format("rms_norm: x {} must be [.., width] with width at least 1", to_string(x.shape)));
    if (weight.dtype != x.dtype && weight.dtype != statistics_dtype(x.dtype))
      throw UserError(fmt::format("rms_norm: weight is {} but x is {}: convert one with .to(DType)",
                                  to_string(weight.dtype), to_string(x.dtype)));
    if (!(weight.shape == Shape({x.shape[-1]})))
      throw UserError(fmt::format("rms_norm: weight {} does not fit x {}: it must be [width] = [{}]",
                                  to_string(weight.shape), to_string(x.shape), x.shape[-1]));
    return {x, {x.shape.without(-1), statistics_dtype(x.dtype), x.device}};
  }
  RmsNormArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], out[1], eps};
  }
  Saved saves(Needs) const override { return {.inputs = {0, 1}, .outputs = {1}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    // Detached: rstd carries no gradient, and differentiating again is to stop at the gradient op.
    std::vector<Tensor> out =
        record(std::make_shared<const RmsNormBackward>(context.needs(0), context.needs(1)),
               tensors(gradients[0], context.inputs[0], context.inputs[1], context.outputs[1].detach()));
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = std::move(out.front());
    if (context.needs(1)) result[1] = std::move(out.back());
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 4.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor rms_norm(Tensor x, Tensor weight, double eps) {
  return record(RmsNorm(eps), std::move(x), std::move(weight));
}

}  // namespace reprise
