#include "reprise/ops/add.h"

#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> add_slot{"add"};
constinit KernelSlot<ScalarArgs> add_scalar_slot{"add_scalar"};

namespace {

struct Add final : BinaryOp {
  Add() : BinaryOp("add", add_slot, 1, Operands::numbers) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    for (int i : {0, 1})
      if (context.needs(i))
        result[static_cast<std::size_t>(i)] =
            sum_to(gradients[0], context.infos[static_cast<std::size_t>(i)].shape);
    return result;
  }
};

struct AddScalar final : ScalarOp {
  explicit AddScalar(Scalar value)
      : ScalarOp("add_scalar", add_scalar_slot, value, GradientReads::nothing, 1, Operands::numbers) {}
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0]);
  }
};

}  // namespace

Tensor add(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Add>();
  return record(op, std::move(a), std::move(b));
}

Tensor add_scalar(Tensor x, Scalar value) { return record(AddScalar(value), std::move(x)); }

}  // namespace reprise
