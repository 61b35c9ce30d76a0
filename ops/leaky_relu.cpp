#include "reprise/ops/leaky_relu.h"

#include <fmt/format.h>

namespace reprise {

constinit KernelSlot<ScalarArgs> leaky_relu_slot{"leaky_relu"};
constinit KernelSlot<LeakyReluBackwardArgs> leaky_relu_backward_slot{"leaky_relu_backward"};

namespace {

struct LeakyRelu final : ScalarOp {
  explicit LeakyRelu(double slope)
      : ScalarOp("leaky_relu", leaky_relu_slot, slope,
                 slope >= 0 ? GradientReads::output : GradientReads::input, 2) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& saved = value() >= 0 ? context.outputs[0] : context.inputs[0];
    return tensors(leaky_relu_backward(gradients[0], saved, value()));
  }
};

// Linear in the gradient, constant in what is saved almost everywhere.
struct LeakyReluBackward final : KernelOp<LeakyReluBackwardArgs> {
  double negative_slope;
  explicit LeakyReluBackward(double slope)
      : KernelOp("leaky_relu_backward", leaky_relu_backward_slot), negative_slope(slope) {}
  std::string attributes() const override { return fmt::format("negative_slope={}", negative_slope); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_alike(name(), in[0], in[1]);
    return {in[0]};
  }
  LeakyReluBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], negative_slope, out[0]};
  }
  Saved saves(Needs needs) const override {
    if (needs(0)) return {.inputs = {1}, .outputs = {}};
    return {};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = leaky_relu_backward(gradients[0], context.inputs[1], negative_slope);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 2 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor leaky_relu(Tensor x, double negative_slope) { return record(LeakyRelu(negative_slope), std::move(x)); }

Tensor leaky_relu_backward(Tensor gradient, Tensor saved, double negative_slope) {
  return record(LeakyReluBackward(negative_slope), std::move(gradient), std::move(saved));
}

}  // namespace reprise
