#include "reprise/ops/clamp.h"

#include <fmt/format.h>

namespace reprise {

constinit KernelSlot<ClampArgs> clamp_slot{"clamp"};
constinit KernelSlot<ClampBackwardArgs> clamp_backward_slot{"clamp_backward"};

namespace {

struct Clamp final : KernelOp<ClampArgs> {
  double min, max;
  Clamp(double low, double high) : KernelOp("clamp", clamp_slot), min(low), max(high) {}
  std::string attributes() const override { return fmt::format("min={}, max={}", min, max); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("clamp", in[0]);
    return {in[0]};
  }
  ClampArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], min, max, out[0]};
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(clamp_backward(gradients[0], context.inputs[0], min, max));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 2 * static_cast<double>(in[0].shape.numel());
  }
};

// Linear in the gradient, constant in x almost everywhere.
struct ClampBackward final : KernelOp<ClampBackwardArgs> {
  double min, max;
  ClampBackward(double low, double high)
      : KernelOp("clamp_backward", clamp_backward_slot), min(low), max(high) {}
  std::string attributes() const override { return fmt::format("min={}, max={}", min, max); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_alike(name(), in[0], in[1]);
    return {in[0]};
  }
  ClampBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], min, max, out[0]};
  }
  Saved saves(Needs needs) const override {
    if (needs(0)) return {.inputs = {1}, .outputs = {}};
    return {};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = clamp_backward(gradients[0], context.inputs[1], min, max);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 2 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor clamp(Tensor x, double min, double max) {
  if (!(min <= max)) throw UserError(fmt::format("clamp: min {} is above max {}", min, max));
  return record(Clamp(min, max), std::move(x));
}

Tensor clamp_backward(Tensor gradient, Tensor x, double min, double max) {
  return record(ClampBackward(min, max), std::move(gradient), std::move(x));
}

}  // namespace reprise
