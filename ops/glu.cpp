#include "reprise/ops/glu.h"

#include <fmt/format.h>

namespace reprise {

constinit KernelSlot<GluArgs> glu_slot{"glu"};
constinit KernelSlot<GluBackwardArgs> glu_backward_slot{"glu_backward"};

namespace {

const char* name_of(Gate gate) { return gate == Gate::silu ? "swiglu" : "geglu"; }
std::string text(Gate gate) {
  if (gate == Gate::silu) return {};
  return gate == Gate::gelu_tanh ? "approximate=tanh" : "approximate=none";
}

// Inputs dy, x; output dx.
struct GluBackward final : KernelOp<GluBackwardArgs> {
  Gate gate;
  explicit GluBackward(Gate g)
      : KernelOp(g == Gate::silu ? "swiglu_backward" : "geglu_backward", glu_backward_slot), gate(g) {}

  std::string attributes() const override { return text(gate); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[1]}; }
  GluBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], gate, out[0]};
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 22 * static_cast<double>(in[0].shape.numel());
  }
};

struct Glu final : KernelOp<GluArgs> {
  Gate gate;
  explicit Glu(Gate g) : KernelOp(name_of(g), glu_slot), gate(g) {}

  std::string attributes() const override { return text(gate); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo& x = in[0];
    require_floating(name(), x);
    if (x.shape.rank() < 1 || x.shape[-1] % 2 != 0)
      throw UserError(fmt::format("{}: x {} must be [.., 2 width]: what is gated, then the gate", name(),
                                  to_string(x.shape)));
    return {{x.shape.with(-1, x.shape[-1] / 2), x.dtype, x.device}};
  }
  GluArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], gate, out[0]};
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(record(GluBackward(gate), gradients[0], context.inputs[0]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 8 * static_cast<double>(in[0].shape.numel());  // 16 for each element of y
  }
};

}  // namespace

Tensor geglu(Tensor x, GeluOptions options) {
  return record(Glu(options.approximate == Approximate::tanh ? Gate::gelu_tanh : Gate::gelu), std::move(x));
}
Tensor swiglu(Tensor x) { return record(Glu(Gate::silu), std::move(x)); }

}  // namespace reprise
