#include "reprise/ops/abs.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> abs_slot{"abs"};
constinit KernelSlot<GradientArgs> abs_backward_slot{"abs_backward"};

namespace {

struct Abs final : UnaryOp {
  Abs() : UnaryOp("abs", abs_slot, GradientReads::input, 1) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(abs_backward(gradients[0], context.inputs[0]));
  }
};

// Linear in the gradient, constant in x almost everywhere.
struct AbsBackward final : GradientOp {
  AbsBackward() : GradientOp("abs_backward", abs_backward_slot, 1) {}
  Saved saves(Needs needs) const override {
    if (needs(0)) return {.inputs = {1}, .outputs = {}};
    return {};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = abs_backward(gradients[0], context.inputs[1]);
    return result;
  }
};

}  // namespace

Tensor abs(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Abs>();
  return record(op, std::move(x));
}

Tensor abs_backward(Tensor gradient, Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const AbsBackward>();
  return record(op, std::move(gradient), std::move(x));
}

}  // namespace reprise
