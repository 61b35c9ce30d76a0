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
    if (in[i].dtype != x.dtype && in[i].dtype != statistics_dtype(x.dtype))
      throw UserError(fmt::format("{}: {} is {} but x is {}: convert one with .to(DType)", op, kNames[i],
                                  to_string(in[i].dtype), to_string(x.dtype)));
    if (!(in[i].shape == Shape({x.shape[-1]})))
      throw UserError(fmt::format(
          "{}: {} {} does not fit x {}: it must be [channels] = [{}] (images are [n, h, w, channels])", op,
          kNames[i], to_string(in[i].shape), to_string(x.shape), x.shape[-1]));
  }
}

// What follows the norm in the same op.
enum class Then { nothing, relu, add_relu };

const char* name_of(Then then) {
  switch (then) {
    case Then::nothing:
      return "batch_norm";
    case Then::relu:
      return "batch_norm_relu";
    case Then::add_relu:
      return "batch_norm_add_relu";
  }
  return "";
}

// Inputs dy, x, weight, mean, rstd and, with relu, y; outputs dweight, dbias and, where asked for, dx and dresidual.
struct BatchNormBackward final : KernelOp<BatchNormBackwardArgs> {
  double eps;
  bool relu, input_gradient, residual_gradient;
  BatchNormBackward(double e, bool with_relu, bool dx, bool dresidual)
      : KernelOp("batch_norm_backward", batch_norm_backward_slot),
        eps(e),
        relu(with_relu),
        input_gradient(dx),
        residual_gradient(dresidual) {}

  std::string attributes() const override {
    return fmt::format("eps={} relu={} input_gradient={} residual_gradient={}", eps, relu, input_gradient,
                       residual_gradient);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_shape("batch_norm_backward", in[0], in[1]);
    std::vector<ValueInfo> out = {in[2], in[2]};
    if (input_gradient) out.push_back(in[1]);
    if (residual_gradient) out.push_back(in[1]);
    return out;
  }
  BatchNormBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {.dy = in[0],
            .x = in[1],
            .weight = in[2],
            .mean = in[3],
            .rstd = in[4],
            .y = relu ? in[5] : ConstView{},
            .dweight = out[0],
            .dbias = out[1],
            .dx = input_gradient ? out[2] : View{},
            .dresidual = residual_gradient ? out.back() : View{},
            .eps = eps,
            .relu = relu};
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 8.0 * static_cast<double>(in[0].shape.numel());
  }
};

// Inputs x, weight, bias and, with add_relu, residual; outputs y, mean, rstd.
struct BatchNorm final : KernelOp<BatchNormArgs> {
  double eps;
  Then then;
  BatchNorm(double e, Then what) : KernelOp(name_of(what), batch_norm_slot), eps(e), then(what) {}

  std::string attributes() const override { return fmt::format("eps={}", eps); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_channels(name_of(then), in.first(3));
    const Shape& x = in[0].shape;
    if (then == Then::add_relu) {
      require_same_dtype(name_of(then), in[0], in[3]);
      require_same_shape(name_of(then), in[0], in[3]);
    }
    if (x.without(-1).numel() < 2)
      throw UserError(fmt::format(
          "{}: x {} has fewer than two values a channel: their deviation is not defined; use a larger "
          "batch, or evaluate with running statistics",
          name(), to_string(x)));
    const ValueInfo statistics = {{x[-1]}, statistics_dtype(in[0].dtype), in[0].device};
    return {in[0], statistics, statistics};
  }
  BatchNormArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {.x = in[0],
            .weight = in[1],
            .bias = in[2],
            .residual = then == Then::add_relu ? in[3] : ConstView{},
            .y = out[0],
            .mean = out[1],
            .rstd = out[2],
            .eps = eps,
            .relu = then != Then::nothing};
  }
  Saved saves(Needs) const override {
    Saved saved = {.inputs = {0, 1}, .outputs = {1, 2}};
    if (then != Then::nothing) saved.outputs.insert(saved.outputs.begin(), 0);
    return saved;
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    // Detached: the statistics carry no gradient, and differentiating again is to stop at the gradient op.
    std::vector<Tensor> inputs = tensors(gradients[0], context.inputs[0], context.inputs[1],
                                         context.outputs[1].detach(), context.outputs[2].detach());
    if (then != Then::nothing) inputs.push_back(context.outputs[0]);
    const bool residual_gradient = then == Then::add_relu && context.needs(3);
    std::vector<Tensor> out = record(std::make_shared<const BatchNormBackward>(
                                         eps, then != Then::nothing, context.needs(0), residual_gradient),
                                     std::move(inputs));
    std::vector<Tensor> result(context.infos.size());
    if (residual_gradient) result[3] = std::move(out.back());
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

BatchNormOutputs run(Then then, double eps, std::vector<Tensor> inputs) {
  std::vector<Tensor> out = record(std::make_shared<const BatchNorm>(eps, then), std::move(inputs));
  return {std::move(out[0]), std::move(out[1]), std::move(out[2])};
}

}  // namespace

BatchNormOutputs batch_norm(Tensor x, Tensor weight, Tensor bias, double eps) {
  return run(Then::nothing, eps, tensors(std::move(x), std::move(weight), std::move(bias)));
}

BatchNormOutputs batch_norm_relu(Tensor x, Tensor weight, Tensor bias, double eps) {
  return run(Then::relu, eps, tensors(std::move(x), std::move(weight), std::move(bias)));
}

BatchNormOutputs batch_norm_add_relu(Tensor x, Tensor residual, Tensor weight, Tensor bias, double eps) {
  return run(Then::add_relu, eps,
             tensors(std::move(x), std::move(weight), std::move(bias), std::move(residual)));
}

Tensor batch_norm_inference(Tensor x, Tensor weight, Tensor bias, Tensor mean, Tensor variance, double eps) {
  return record(BatchNormInference(eps), std::move(x), std::move(weight), std::move(bias), std::move(mean),
                std::move(variance));
}

}  // namespace reprise
