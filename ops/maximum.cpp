#include "reprise/ops/maximum.h"

#include "reprise/ops/add.h"
#include "reprise/ops/cast.h"
#include "reprise/ops/compare.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> maximum_slot{"maximum"};
constinit KernelSlot<BinaryArgs> minimum_slot{"minimum"};

namespace {

// gradient * (1 where chosen, 1/2 where equal, else 0)
Tensor share(const Tensor& gradient, Tensor chosen, Tensor tied) {
  return gradient *
         (cast(std::move(chosen), gradient.dtype()) + cast(std::move(tied), gradient.dtype()) * 0.5);
}

struct Choose : BinaryOp {
  Choose(const char* name, const KernelSlot<BinaryArgs>& slot) : BinaryOp(name, slot, 1, Operands::numbers) {}
  // Is a's element chosen over b's?
  virtual Tensor chosen(const Tensor& a, const Tensor& b) const = 0;
  Saved saves(Needs) const override { return {.inputs = {0, 1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor &a = context.inputs[0], &b = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0))
      result[0] = sum_to(share(gradients[0], chosen(a, b), equal(a, b)), context.infos[0].shape);
    if (context.needs(1))
      result[1] = sum_to(share(gradients[0], chosen(b, a), equal(a, b)), context.infos[1].shape);
    return result;
  }
};

struct Maximum final : Choose {
  Maximum() : Choose("maximum", maximum_slot) {}
  Tensor chosen(const Tensor& a, const Tensor& b) const override { return greater(a, b); }
};

struct Minimum final : Choose {
  Minimum() : Choose("minimum", minimum_slot) {}
  Tensor chosen(const Tensor& a, const Tensor& b) const override { return less(a, b); }
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
