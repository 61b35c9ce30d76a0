#include "reprise/ops/pow.h"

#include "reprise/ops/mul.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<ScalarArgs> pow_slot{"pow"};

namespace {

struct Pow final : ScalarOp {
  explicit Pow(double exponent) : ScalarOp("pow", pow_slot, exponent, GradientReads::input, 20) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& saved = context.inputs[0];
    if (value() == 0)
      return tensors(Tensor::zeros(saved.shape(), {.device = saved.device(), .dtype = saved.dtype()}));
    if (value() == 1) return tensors(gradients[0]);
    const Tensor gradient = widened(gradients[0]), x = widened(saved);
    if (value() == 2) return tensors(gradient * (x * 2.0));
    return tensors(gradient * (pow(x, value() - 1) * value()));
  }
};

}  // namespace

Tensor pow(Tensor x, double exponent) { return record(Pow(exponent), std::move(x)); }

}  // namespace reprise
