#include "reprise/ops/gelu.h"

#include <cmath>
#include <numbers>

#include "reprise/ops/clamp.h"
#include "reprise/ops/exp.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/sigmoid.h"
#include "reprise/ops/sub.h"
#include "reprise/ops/tanh.h"

namespace reprise {

constinit KernelSlot<GeluArgs> gelu_slot{"gelu"};
constinit KernelSlot<GeluBackwardArgs> gelu_backward_slot{"gelu_backward"};

namespace {

std::string text(Approximate approximate) {
  return approximate == Approximate::tanh ? "approximate=tanh" : "approximate=none";
}

struct Gelu final : KernelOp<GeluArgs> {
  Approximate approximate;
  explicit Gelu(Approximate a) : KernelOp("gelu", gelu_slot), approximate(a) {}
  std::string attributes() const override { return text(approximate); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("gelu", in[0]);
    return {in[0]};
  }
  GeluArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], approximate, out[0]};
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor>) const override {
    return tensors(
        gelu_backward(std::move(context.gradients[0]), context.inputs[0], {.approximate = approximate}));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 15 * static_cast<double>(in[0].shape.numel());
  }
};

// The second derivative of gelu.
Tensor second_derivative(const Tensor& input, Approximate approximate) {
  // Beyond 40 both are 0 in every dtype, and their formulas overflow further out.
  const Tensor x = clamp(input, -40, 40);
  if (approximate == Approximate::none)  // Phi'(x) (2 - x^2), Phi' the normal density
    return exp(x * x * -0.5) * (2.0 - x * x) * (1 / std::sqrt(2 * std::numbers::pi));
  // with t = tanh(u): (1 - t^2) (u' + x u'' / 2 - x t u'^2). 1 - t^2 is 4 sigmoid(2 u) sigmoid(-2 u), which keeps its
  // digits where t is near 1.
  const double k = std::sqrt(2 / std::numbers::pi), c = 0.044715;
  const Tensor square = x * x;
  const Tensor u = (x + square * x * c) * k, t = tanh(u);
  const Tensor du = (square * (3 * c) + 1) * k;
  return sigmoid(u * 2) * sigmoid(u * -2) * 4 * (du + square * (3 * c * k) - x * t * du * du);
}

// Linear in the gradient.
struct GeluBackward final : KernelOp<GeluBackwardArgs> {
  Approximate approximate;
  explicit GeluBackward(Approximate a) : KernelOp("gelu_backward", gelu_backward_slot), approximate(a) {}
  std::string attributes() const override { return text(approximate); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_alike(name(), in[0], in[1]);
    return {in[0]};
  }
  GeluBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], approximate, out[0]};
  }
  Saved saves(Needs needs) const override {
    if (needs(1)) return {.inputs = {0, 1}, .outputs = {}};
    return {.inputs = {1}, .outputs = {}};
  }
  std::optional<int> overwrites() const override { return 0; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& x = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = gelu_backward(gradients[0], x, {.approximate = approximate});
    if (context.needs(1)) result[1] = gradients[0] * context.inputs[0] * second_derivative(x, approximate);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 20 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor gelu(Tensor x, GeluOptions options) {
  static const std::shared_ptr<const Op> exact = std::make_shared<const Gelu>(Approximate::none);
  static const std::shared_ptr<const Op> by_tanh = std::make_shared<const Gelu>(Approximate::tanh);
  return record(options.approximate == Approximate::none ? exact : by_tanh, std::move(x));
}

Tensor gelu_backward(Tensor gradient, Tensor x, GeluOptions options) {
  static const std::shared_ptr<const Op> exact = std::make_shared<const GeluBackward>(Approximate::none);
  static const std::shared_ptr<const Op> by_tanh = std::make_shared<const GeluBackward>(Approximate::tanh);
  return record(options.approximate == Approximate::none ? exact : by_tanh, std::move(gradient),
                std::move(x));
}

}  // namespace reprise
