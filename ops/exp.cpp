#include "reprise/ops/exp.h"

#include "reprise/ops/mul.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> exp_slot{"exp"};

namespace {

struct Exp final : UnaryOp {
  Exp() : UnaryOp("exp", exp_slot, GradientReads::output, 10) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] * context.outputs[0]);
  }
};

}  // namespace

Tensor exp(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Exp>();
  return record(op, std::move(x));
}

}  // namespace reprise
