#include "reprise/ops/pow.h"

#include "reprise/ops/mul.h"

namespace reprise {

constinit KernelSlot<ScalarArgs> pow_slot{"pow"};

namespace {

struct Pow final : ScalarOp {
  explicit Pow(double exponent) : ScalarOp("pow", pow_slot, exponent, GradientReads::input, 20) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& x = context.inputs[0];
    if (value() == 0) return tensors(gradients[0] * 0.0);
    if (value() == 1) return tensors(gradients[0]);
    if (value() == 2) return tensors(gradients[0] * (x * 2.0));
    return tensors(gradients[0] * (pow(x, value() - 1) * value()));
  }
};

}  // namespace

Tensor pow(Tensor x, double exponent) { return record(Pow(exponent), std::move(x)); }

}  // namespace reprise
