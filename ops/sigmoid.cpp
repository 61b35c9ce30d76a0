#include "reprise/ops/sigmoid.h"

#include "reprise/ops/mul.h"
#include "reprise/ops/sub.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> sigmoid_slot{"sigmoid"};
constinit KernelSlot<GradientArgs> sigmoid_backward_slot{"sigmoid_backward"};

namespace {

struct Sigmoid final : UnaryOp {
  Sigmoid() : UnaryOp("sigmoid", sigmoid_slot, GradientReads::output, 10) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(sigmoid_backward(gradients[0], context.outputs[0]));
  }
};

// dx = gradient * f'; f' has a derivative too, so both inputs get a gradient.
struct SigmoidBackward final : GradientOp {
  SigmoidBackward() : GradientOp("sigmoid_backward", sigmoid_backward_slot, 3) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& y = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = sigmoid_backward(gradients[0], y);
    if (context.needs(1)) result[1] = gradients[0] * context.inputs[0] * (1.0 - 2.0 * y);
    return result;
  }
};

}  // namespace

Tensor sigmoid(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Sigmoid>();
  return record(op, std::move(x));
}

Tensor sigmoid_backward(Tensor gradient, Tensor y) {
  static const std::shared_ptr<const Op> op = std::make_shared<const SigmoidBackward>();
  return record(op, std::move(gradient), std::move(y));
}

}  // namespace reprise
