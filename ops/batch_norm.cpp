#include "reprise/ops/batch_norm.h"

#include <fmt/format.h>

#include "reprise/ops/add.h"
#include "reprise/ops/column_sum.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/pow.h"
#include "reprise/ops/statistics.h"
#include "reprise/ops/sub.h"

namespace reprise {

constinit KernelSlot<BatchNormArgs> batch_norm_slot{"batch_norm"};
constinit KernelSlot<BatchNormBackwardArgs> batch_norm_backward_slot{"batch_norm_backward"};
constinit KernelSlot<BatchNormInferenceArgs> batch_norm_inference_slot{"batch_norm_inference"};

namespace {

// x [.., channels], every further operand [channels].
void require_channels(const char* op, std::span<const ValueInfo> in) {
  const ValueInfo& x = in[0];
  require_floating(op, x);
  if (x.shape.rank() < 2)
    throw UserError(fmt::format("{}: x {} must be [.., channels]", op, to_string(x.shape)));
  static constexpr const char* kNames[] = {"x", "weight", "bias", "mean", "variance"};
  for (std::size_t i = 1; i < in.size(); ++i) {
    require_same_device(op, x, in[i]);
    if (in[i].dtype != x.dtype && in[i].dtype != statistics_dtype(x.dtype))
      throw UserError(fmt::format("{}: {} is {} but x is {}: convert one with .to(DType)", op, kNames[i],
                                  to_string(in[i].dtype), to_string(x.dtype)));
    if (!(in[i].shape == Shape({x.shape[-1]})))
      throw UserError(fmt::format(
          "{}: {} {} does not fit x {}: it must be [channels] = [{}] (images are [n, h, w, channels])", op,
          kNames[i], to_string(in[i].shape), to_string(x.shape), x.shape[-1]));
  }
}

// Inputs dy, x, weight, mean, rstd and, with relu, y; outputs dweight, dbias and, where asked for, dx.
struct BatchNormBackward final : KernelOp<BatchNormBackwardArgs> {
  double eps;
  bool relu, input_gradient;
  BatchNormBackward(double e, bool with_relu, bool dx)
      : KernelOp("batch_norm_backward", batch_norm_backward_slot),
        eps(e),
        relu(with_relu),
        input_gradient(dx) {}

  std::string attributes() const override {
    return fmt::format("eps={} relu={} input_gradient={}", eps, relu, input_gradient);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_shape("batch_norm_backward", in[0], in[1]);
    std::vector<ValueInfo> out = {in[2], in[2]};
    if (input_gradient) out.push_back(in[1]);
    return out;
  }
  BatchNormBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0],  in[1],  in[2],
            in[3],  in[4],  relu ? in[5] : ConstView{},
            out[0], out[1], input_gradient ? out[2] : View{},
            eps,    relu};
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 8.0 * static_cast<double>(in[0].shape.numel());
  }
};

// Outputs y, mean, rstd.
struct BatchNorm final : KernelOp<BatchNormArgs> {
  double eps;
  bool relu;
  BatchNorm(double e, bool with_relu)
      : KernelOp(with_relu ? "batch_norm_relu" : "batch_norm", batch_norm_slot), eps(e), relu(with_relu) {}

  std::string attributes() const override { return fmt::format("eps={}", eps); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_channels(relu ? "batch_norm_relu" : "batch_norm", in);
    const Shape& x = in[0].shape;
    if (x.without(-1).numel() < 2)
      throw UserError(fmt::format(
          "{}: x {} has fewer than two values a channel: their deviation is not defined; use a larger "
          "batch, or evaluate with running statistics",
          name(), to_string(x)));
    const ValueInfo statistics = {{x[-1]}, statistics_dtype(in[0].dtype), in[0].device};
    return {in[0], statistics, statistics};
  }
  BatchNormArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in[2], out[0], out[1], out[2], eps, relu};
  }
  Saved saves(Needs) const override {
    Saved saved = {.inputs = {0, 1}, .outputs = {1, 2}};
    if (relu) saved.outputs.insert(saved.outputs.begin(), 0);
    return saved;
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    // Detached: the statistics carry no gradient, and differentiating again is to stop at the gradient op.
    std::vector<Tensor> inputs = tensors(gradients[0], context.inputs[0], context.inputs[1],
                                         context.outputs[1].detach(), context.outputs[2].detach());
    if (relu) inputs.push_back(context.outputs[0]);
    std::vector<Tensor> out =
        record(std::make_shared<const BatchNormBackward>(eps, relu, context.needs(0)), std::move(inputs));
    std::vector<Tensor> result(3);
    if (context.needs(0)) result[0] = std::move(out[2]);
    if (context.needs(1)) result[1] = std::move(out[0]);
    if (context.needs(2)) result[2] = std::move(out[1]);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 6.0 * static_cast<double>(in[0].shape.numel());
  }
};

// Linear in x, weight and bias, so its gradient is written in plain ops and has gradients of its own.
struct BatchNormInference final : KernelOp<BatchNormInferenceArgs> {
  double eps;
  explicit BatchNormInference(double e)
      : KernelOp("batch_norm_inference", batch_norm_inference_slot), eps(e) {}

  std::string attributes() const override { return fmt::format("eps={}", eps); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_channels("batch_norm_inference", in);
    return {in[0]};
  }
  BatchNormInferenceArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in[2], in[3], in[4], out[0], eps};
  }
  Saved saves(Needs needs) const override {
    Saved saved;
    if (needs(1)) saved.inputs.push_back(0);
    if (needs(0)) saved.inputs.push_back(1);
    if (needs(1)) saved.inputs.push_back(3);
    if (needs(0) || needs(1)) saved.inputs.push_back(4);
    return saved;
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    if (context.needs(3) || context.needs(4))
      throw UserError("batch_norm_inference: mean and variance have no gradient here: detach() them");
    const Tensor& g = gradients[0];
    const DType dtype = context.infos[0].dtype;
    std::vector<Tensor> result(5);
    Tensor rstd;
    if (context.needs(0) || context.needs(1)) rstd = pow(context.inputs[4] + eps, -0.5);
    if (context.needs(0)) result[0] = g * (context.inputs[1].to(rstd.dtype()) * rstd).to(dtype);
    if (context.needs(1)) {
      Tensor centered = context.inputs[0] - context.inputs[3].to(dtype);
      result[1] = (column_sum(g * std::move(centered)).to(rstd.dtype()) * rstd).to(context.infos[1].dtype);
    }
    if (context.needs(2)) result[2] = column_sum(g).to(context.infos[2].dtype);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 2.0 * static_cast<double>(in[0].shape.numel());
  }
};

BatchNormOutputs run(Tensor x, Tensor weight, Tensor bias, double eps, bool relu) {
  std::vector<Tensor> out = record(std::make_shared<const BatchNorm>(eps, relu),
                                   tensors(std::move(x), std::move(weight), std::move(bias)));
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

}  // namespace

BatchNormOutputs batch_norm(Tensor x, Tensor weight, Tensor bias, double eps) {
  return run(std::move(x), std::move(weight), std::move(bias), eps, false);
}

BatchNormOutputs batch_norm_relu(Tensor x, Tensor weight, Tensor bias, double eps) {
  return run(std::move(x), std::move(weight), std::move(bias), eps, true);
}

Tensor batch_norm_inference(Tensor x, Tensor weight, Tensor bias, Tensor mean, Tensor variance, double eps) {
  return record(BatchNormInference(eps), std::move(x), std::move(weight), std::move(bias), std::move(mean),
                std::move(variance));
}

}  // namespace reprise
