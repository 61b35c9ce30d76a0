#include "reprise/ops/sqrt.h"

#include "reprise/ops/div.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> sqrt_slot{"sqrt"};

namespace {

struct Sqrt final : UnaryOp {
  Sqrt() : UnaryOp("sqrt", sqrt_slot, GradientReads::output, 4) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] / context.outputs[0] * 0.5);
  }
};

}  // namespace

Tensor sqrt(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Sqrt>();
  return record(op, std::move(x));
}

}  // namespace reprise
