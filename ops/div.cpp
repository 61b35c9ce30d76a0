#include "reprise/ops/div.h"

#include "reprise/ops/neg.h"
#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> div_slot{"div"};
constinit KernelSlot<ScalarArgs> rdiv_slot{"rdiv"};

namespace {

struct Div final : BinaryOp {
  Div() : BinaryOp("div", div_slot, 4) {}
  Saved saves(Needs needs) const override {
    Saved saved = {.inputs = {1}, .outputs = {}};
    if (needs(1)) saved.outputs.push_back(0);
    return saved;
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    Tensor quotient = gradients[0] / context.inputs[1];
    if (context.needs(1)) result[1] = neg(sum_to(quotient * context.outputs[0], context.infos[1].shape));
    if (context.needs(0)) result[0] = sum_to(std::move(quotient), context.infos[0].shape);
    return result;
  }
};

// y = c / x; dy/dx = -c / x^2 = -(y / x)
struct RDiv final : ScalarOp {
  explicit RDiv(double value) : ScalarOp("rdiv", rdiv_slot, value, GradientReads::input, 4) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& x = context.inputs[0];
    return tensors(gradients[0] / x * (-value() / x));
  }
};

}  // namespace

Tensor div(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Div>();
  return record(op, std::move(a), std::move(b));
}

Tensor rdiv(Tensor x, double value) { return record(RDiv(value), std::move(x)); }

}  // namespace reprise
