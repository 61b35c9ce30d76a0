#include "reprise/ops/sub.h"

#include "reprise/ops/neg.h"
#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> sub_slot{"sub"};
constinit KernelSlot<ScalarArgs> rsub_slot{"rsub"};

namespace {

struct Sub final : BinaryOp {
  Sub() : BinaryOp("sub", sub_slot, 1, Operands::numbers) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = sum_to(gradients[0], context.infos[0].shape);
    if (context.needs(1)) result[1] = neg(sum_to(gradients[0], context.infos[1].shape));
    return result;
  }
};

struct RSub final : ScalarOp {
  explicit RSub(Scalar value)
      : ScalarOp("rsub", rsub_slot, value, GradientReads::nothing, 1, Operands::numbers) {}
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(neg(gradients[0]));
  }
};

}  // namespace

Tensor sub(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Sub>();
  return record(op, std::move(a), std::move(b));
}

Tensor rsub(Tensor x, Scalar value) { return record(RSub(value), std::move(x)); }

}  // namespace reprise
