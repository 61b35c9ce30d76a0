#include "reprise/ops/tanh.h"

#include "reprise/ops/mul.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> tanh_slot{"tanh"};
constinit KernelSlot<GradientArgs> tanh_backward_slot{"tanh_backward"};

namespace {

struct Tanh final : UnaryOp {
  Tanh() : UnaryOp("tanh", tanh_slot, GradientReads::output, 10) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(tanh_backward(gradients[0], context.outputs[0]));
  }
};

// dx = gradient * f'; f' has a derivative too, so both inputs get a gradient.
struct TanhBackward final : GradientOp {
  TanhBackward() : GradientOp("tanh_backward", tanh_backward_slot, 3) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& y = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = tanh_backward(gradients[0], y);
    if (context.needs(1)) result[1] = gradients[0] * context.inputs[0] * (-2.0 * y);
    return result;
  }
};

}  // namespace

Tensor tanh(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Tanh>();
  return record(op, std::move(x));
}

Tensor tanh_backward(Tensor gradient, Tensor y) {
  static const std::shared_ptr<const Op> op = std::make_shared<const TanhBackward>();
  return record(op, std::move(gradient), std::move(y));
}

}  // namespace reprise
