#include "reprise/ops/maximum.h"

#include "reprise/ops/compare.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/sum_to.h"
#include "reprise/ops/where.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> maximum_slot{"maximum"};
constinit KernelSlot<BinaryArgs> minimum_slot{"minimum"};

namespace {

// 0 where the operand lost, half the gradient where both are equal, else the gradient. An infinite gradient stays out of
// what it does not reach: choosing, where a product would make NaN of 0 times infinity.
Tensor share(const Tensor& gradient, Tensor lost, Tensor tied) {
  const Tensor zero = Tensor::zeros({}, {.device = gradient.device(), .dtype = gradient.dtype()});
  return where(std::move(lost), zero, where(std::move(tied), gradient * 0.5, gradient));
}

struct Choose : BinaryOp {
  Choose(const char* name, const KernelSlot<BinaryArgs>& slot) : BinaryOp(name, slot, 1, Operands::numbers) {}
  // Is b's element chosen over a's?
  virtual Tensor lost(const Tensor& a, const Tensor& b) const = 0;
  Saved saves(Needs) const override { return {.inputs = {0, 1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor &a = context.inputs[0], &b = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0))
      result[0] = sum_to(share(gradients[0], lost(a, b), equal(a, b)), context.infos[0].shape);
    if (context.needs(1))
      result[1] = sum_to(share(gradients[0], lost(b, a), equal(a, b)), context.infos[1].shape);
    return result;
  }
};

struct Maximum final : Choose {
  Maximum() : Choose("maximum", maximum_slot) {}
  Tensor lost(const Tensor& a, const Tensor& b) const override { return less(a, b); }
};

struct Minimum final : Choose {
  Minimum() : Choose("minimum", minimum_slot) {}
  Tensor lost(const Tensor& a, const Tensor& b) const override { return greater(a, b); }
};

}  // namespace

Tensor maximum(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Maximum>();
  return record(op, std::move(a), std::move(b));
}

Tensor minimum(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Minimum>();
  return record(op, std::move(a), std::move(b));
}

}  // namespace reprise
