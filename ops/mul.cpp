#include "reprise/ops/mul.h"

#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> mul_slot{"mul"};
constinit KernelSlot<ScalarArgs> mul_scalar_slot{"mul_scalar"};

namespace {

struct Mul final : BinaryOp {
  Mul() : BinaryOp("mul", mul_slot, 1, Operands::numbers) {}
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = sum_to(gradients[0] * context.inputs[1], context.infos[0].shape);
    if (context.needs(1)) result[1] = sum_to(gradients[0] * context.inputs[0], context.infos[1].shape);
    return result;
  }
};

struct MulScalar final : ScalarOp {
  explicit MulScalar(double value)
      : ScalarOp("mul_scalar", mul_scalar_slot, value, GradientReads::nothing, 1, Operands::numbers) {}
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] * value());
  }
};

}  // namespace

Tensor mul(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Mul>();
  return record(op, std::move(a), std::move(b));
}

Tensor mul_scalar(Tensor x, double value) { return record(MulScalar(value), std::move(x)); }

}  // namespace reprise
