#include "reprise/ops/softplus.h"

#include "reprise/ops/mul.h"
#include "reprise/ops/sigmoid.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> softplus_slot{"softplus"};

namespace {

struct Softplus final : UnaryOp {
  Softplus() : UnaryOp("softplus", softplus_slot, GradientReads::input, 20) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(widened(gradients[0]) * sigmoid(widened(context.inputs[0])));
  }
};

}  // namespace

Tensor softplus(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Softplus>();
  return record(op, std::move(x));
}

}  // namespace reprise
