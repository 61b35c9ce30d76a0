#include "reprise/ops/sqrt.h"

#include "reprise/ops/div.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> sqrt_slot{"sqrt"};

namespace {

struct Sqrt final : UnaryOp {
  Sqrt() : UnaryOp("sqrt", sqrt_slot, GradientReads::output, 4) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(widened(gradients[0]) / (widened(context.outputs[0]) * 2.0));
  }
};

}  // namespace

Tensor sqrt(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Sqrt>();
  return record(op, std::move(x));
}

}  // namespace reprise
