#include "reprise/ops/neg.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> neg_slot{"neg"};

namespace {

struct Neg final : UnaryOp {
  Neg() : UnaryOp("neg", neg_slot, GradientReads::nothing, 1, Operands::numbers) {}
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(neg(gradients[0]));
  }
};

}  // namespace

Tensor neg(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Neg>();
  return record(op, std::move(x));
}

}  // namespace reprise
