#include "reprise/ops/mul.h"

#include "reprise/ops/sum_to.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> mul_slot{"mul"};
constinit KernelSlot<ScalarArgs> mul_scalar_slot{"mul_scalar"};

namespace {

// a * b, summed to this shape. Products that are summed are not rounded to 16 bits before.
Tensor summed_product(const Tensor& a, const Tensor& b, const Shape& shape) {
  if (a.shape() == shape) return a * b;
  return sum_to(widened(a) * widened(b), shape);
}

struct Mul final : BinaryOp {
  Mul() : BinaryOp("mul", mul_slot, 1, Operands::numbers) {}
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    const Tensor& g = gradients[0];
    if (context.needs(0)) result[0] = summed_product(g, context.inputs[1], context.infos[0].shape);
    if (context.needs(1)) result[1] = summed_product(g, context.inputs[0], context.infos[1].shape);
    return result;
  }
};

struct MulScalar final : ScalarOp {
  explicit MulScalar(Scalar value)
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

Tensor mul_scalar(Tensor x, Scalar value) { return record(MulScalar(value), std::move(x)); }

}  // namespace reprise
