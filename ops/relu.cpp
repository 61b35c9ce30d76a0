#include "reprise/ops/relu.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> relu_slot{"relu"};
constinit KernelSlot<GradientArgs> relu_backward_slot{"relu_backward"};

namespace {

struct Relu final : UnaryOp {
  Relu() : UnaryOp("relu", relu_slot, GradientReads::output, 1) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(relu_backward(gradients[0], context.outputs[0]));
  }
};

// Linear in the gradient, constant in y almost everywhere.
struct ReluBackward final : GradientOp {
  ReluBackward() : GradientOp("relu_backward", relu_backward_slot, 1) {}
  Saved saves(Needs needs) const override {
    if (needs(0)) return {.inputs = {1}, .outputs = {}};
    return {};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = relu_backward(gradients[0], context.inputs[1]);
    return result;
  }
};

}  // namespace

Tensor relu(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Relu>();
  return record(op, std::move(x));
}

Tensor relu_backward(Tensor gradient, Tensor y) {
  static const std::shared_ptr<const Op> op = std::make_shared<const ReluBackward>();
  return record(op, std::move(gradient), std::move(y));
}

}  // namespace reprise
