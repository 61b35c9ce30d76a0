#include "reprise/ops/silu.h"

#include "reprise/ops/clamp.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/sigmoid.h"
#include "reprise/ops/sub.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> silu_slot{"silu"};
constinit KernelSlot<GradientArgs> silu_backward_slot{"silu_backward"};

namespace {

struct Silu final : UnaryOp {
  Silu() : UnaryOp("silu", silu_slot, GradientReads::input, 12) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(silu_backward(gradients[0], context.inputs[0]));
  }
};

// dx = gradient * f'; f' has a derivative too, so both inputs get a gradient.
struct SiluBackward final : GradientOp {
  SiluBackward() : GradientOp("silu_backward", silu_backward_slot, 15) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& x = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = silu_backward(gradients[0], x);
    if (context.needs(1)) {
      // (s + x s (1 - s))' = s (1 - s) (2 + x (1 - 2 s)), which is 0 far from 0; there infinite x must not make NaN
      const Tensor near = clamp(x, -1000, 1000), s = sigmoid(near);
      result[1] = gradients[0] * context.inputs[0] * (s * (1.0 - s)) * (2.0 + near * (1.0 - 2.0 * s));
    }
    return result;
  }
};

}  // namespace

Tensor silu(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Silu>();
  return record(op, std::move(x));
}

Tensor silu_backward(Tensor gradient, Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const SiluBackward>();
  return record(op, std::move(gradient), std::move(x));
}

}  // namespace reprise
