#include "reprise/ops/div.h"

#include "reprise/ops/neg.h"
#include "reprise/ops/sum_to.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> div_slot{"div"};
constinit KernelSlot<ScalarArgs> div_scalar_slot{"div_scalar"};
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
    const Tensor gradient = widened(gradients[0]), b = widened(context.inputs[1]);
    std::vector<Tensor> result(2);
    if (context.needs(1)) {
      Tensor slope = widened(context.outputs[0]) / b;
      result[1] = neg(sum_to(gradient * std::move(slope), context.infos[1].shape));
    }
    if (context.needs(0)) result[0] = sum_to(gradient / b, context.infos[0].shape);
    return result;
  }
};

struct DivScalar final : ScalarOp {
  explicit DivScalar(double value)
      : ScalarOp("div_scalar", div_scalar_slot, value, GradientReads::nothing, 4) {}
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(gradients[0] / value());
  }
};

// y = c / x; dy/dx = -(c / x) / x
struct RDiv final : ScalarOp {
  explicit RDiv(double value) : ScalarOp("rdiv", rdiv_slot, value, GradientReads::input, 4) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor x = widened(context.inputs[0]);
    return tensors(widened(gradients[0]) * (-value() / x / x));
  }
};

}  // namespace

Tensor div(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Div>();
  return record(op, std::move(a), std::move(b));
}

Tensor div_scalar(Tensor x, double value) { return record(DivScalar(value), std::move(x)); }

Tensor rdiv(Tensor x, double value) { return record(RDiv(value), std::move(x)); }

}  // namespace reprise
