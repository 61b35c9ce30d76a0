#include "reprise/ops/linear_cross_entropy.h"

#include <fmt/format.h>

#include "reprise/ops/class_targets.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<LinearCrossEntropyArgs> linear_cross_entropy_slot{"linear_cross_entropy"};
constinit KernelSlot<LinearCrossEntropyBackwardArgs> linear_cross_entropy_backward_slot{
    "linear_cross_entropy_backward"};

namespace {

double product_flops(const Shape& x, std::int64_t classes) {
  return 2.0 * static_cast<double>(x.numel()) * static_cast<double>(classes);
}

// Inputs dloss, x, w, targets, log_sum; outputs dx, then dw, each where asked for.
struct LinearCrossEntropyBackward final : KernelOp<LinearCrossEntropyBackwardArgs> {
  bool input_gradient, weight_gradient;
  CrossEntropyOptions options;
  LinearCrossEntropyBackward(bool dx, bool dw, CrossEntropyOptions o)
      : KernelOp("linear_cross_entropy_backward", linear_cross_entropy_backward_slot, 1),
        input_gradient(dx),
        weight_gradient(dw),
        options(o) {}

  std::string attributes() const override {
    return fmt::format("input_gradient={} weight_gradient={} {}", input_gradient, weight_gradient,
                       to_string(options));
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    std::vector<ValueInfo> out;
    if (input_gradient) out.push_back(in[1]);
    if (weight_gradient) out.push_back({in[2].shape, statistics_dtype(in[2].dtype), in[2].device});
    return out;
  }
  LinearCrossEntropyBackwardArgs args(std::span<const ConstView> in,
                                      std::span<const View> out) const override {
    LinearCrossEntropyBackwardArgs args{in[0], in[1], in[2], in[3], in[4], {}, {}, options};
    if (input_gradient) args.dx = out.front();
    if (weight_gradient) args.dw = out.back();
    return args;
  }
  double flops(std::span<const ValueInfo> in) const override {
    const double products = 1.0 + (input_gradient ? 1.0 : 0.0) + (weight_gradient ? 1.0 : 0.0);
    return products * product_flops(in[1].shape, in[2].shape[0]);
  }
};

// Outputs loss, log_sum.
struct LinearCrossEntropy final : KernelOp<LinearCrossEntropyArgs> {
  CrossEntropyOptions options;
  explicit LinearCrossEntropy(CrossEntropyOptions o)
      : KernelOp("linear_cross_entropy", linear_cross_entropy_slot), options(o) {}

  std::string attributes() const override { return to_string(options); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo &x = in[0], &w = in[1];
    require_floating("linear_cross_entropy", x);
    require_same_dtype("linear_cross_entropy", x, w);
    if (x.shape.rank() < 1 || w.shape.rank() != 2 || x.shape[-1] != w.shape[1])
      throw UserError(fmt::format(
          "linear_cross_entropy: x {} and w {} do not fit: w is [classes, in] and x's last extent is in",
          to_string(x.shape), to_string(w.shape)));
    require_class_targets("linear_cross_entropy", {x.shape.with(-1, w.shape[0]), x.dtype, x.device}, in[2]);
    require_label_smoothing("linear_cross_entropy", options.label_smoothing);
    const DType dtype = statistics_dtype(x.dtype);
    return {{Shape(), dtype, x.device}, {in[2].shape, dtype, x.device}};
  }
  LinearCrossEntropyArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in[2], out[0], out[1], options};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    require_in_range("linear_cross_entropy", "target", in[2], in[1].info->shape[0], &options.ignore_index);
    KernelOp::forward(in, out, workspace);
  }
  Saved saves(Needs) const override { return {.inputs = {0, 1, 2}, .outputs = {1}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    // Detached: log_sum carries no gradient, and differentiating again is to stop at the gradient op.
    std::vector<Tensor> out = record(
        std::make_shared<const LinearCrossEntropyBackward>(context.needs(0), context.needs(1), options),
        tensors(gradients[0], context.inputs[0], context.inputs[1], context.inputs[2],
                context.outputs[1].detach()));
    std::vector<Tensor> result(3);
    if (context.needs(0)) result[0] = std::move(out.front());
    if (context.needs(1)) result[1] = std::move(out.back());
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return product_flops(in[0].shape, in[1].shape[0]);
  }
};

}  // namespace

Tensor linear_cross_entropy(Tensor x, Tensor w, Tensor targets, CrossEntropyOptions options) {
  return record(LinearCrossEntropy(options), std::move(x), std::move(w), std::move(targets));
}

}  // namespace reprise
