#include <fmt/format.h>

#include "reprise/ops/avg_pool2d.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"

namespace reprise {

constinit KernelSlot<AdaptiveAvgPool2dArgs> adaptive_avg_pool2d_slot{"adaptive_avg_pool2d"};
constinit KernelSlot<AdaptiveAvgPool2dBackwardArgs> adaptive_avg_pool2d_backward_slot{
    "adaptive_avg_pool2d_backward"};

namespace {

// Linear, so its gradient is adaptive_avg_pool2d again.
struct AdaptiveAvgPool2dBackward final : KernelOp<AdaptiveAvgPool2dBackwardArgs> {
  Shape input;
  explicit AdaptiveAvgPool2dBackward(const Shape& x)
      : KernelOp("adaptive_avg_pool2d_backward", adaptive_avg_pool2d_backward_slot), input(x) {}

  std::string attributes() const override { return "input=" + to_string(input); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("adaptive_avg_pool2d_backward", in[0]);
    return {{input, in[0].dtype, in[0].device}};
  }
  AdaptiveAvgPool2dBackwardArgs args(std::span<const ConstView> in,
                                     std::span<const View> out) const override {
    return {in[0], out[0]};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Shape& dy = context.infos[0].shape;
    return tensors(adaptive_avg_pool2d(gradients[0], {dy[1], dy[2]}));
  }
};

struct AdaptiveAvgPool2d final : KernelOp<AdaptiveAvgPool2dArgs> {
  Pair output_size;
  explicit AdaptiveAvgPool2d(Pair size)
      : KernelOp("adaptive_avg_pool2d", adaptive_avg_pool2d_slot), output_size(size) {}

  std::string attributes() const override {
    return fmt::format("output={}x{}", output_size.h, output_size.w);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const Shape& x = in[0].shape;
    require_floating("adaptive_avg_pool2d", in[0]);
    if (x.rank() != 4 || x[1] < 1 || x[2] < 1)
      throw UserError(fmt::format(
          "adaptive_avg_pool2d: x {} must be [n, h, w, channels] with h and w at least 1", to_string(x)));
    if (output_size.h < 1 || output_size.w < 1)
      throw UserError(fmt::format("adaptive_avg_pool2d: output size {}x{} must be at least 1x1",
                                  output_size.h, output_size.w));
    return {{{x[0], output_size.h, output_size.w, x[3]}, in[0].dtype, in[0].device}};
  }
  AdaptiveAvgPool2dArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0]};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(record(AdaptiveAvgPool2dBackward(context.infos[0].shape), gradients[0]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor adaptive_avg_pool2d(Tensor x, Pair output_size) {
  return record(AdaptiveAvgPool2d(output_size), std::move(x));
}

}  // namespace reprise
