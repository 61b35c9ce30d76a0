#include "reprise/ops/dropout.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"

namespace reprise {

constinit KernelSlot<DropoutArgs> dropout_slot{"dropout"};

namespace {

// Linear, and its own gradient: the mask is addressed, not stored.
struct Dropout final : KernelOp<DropoutArgs> {
  double p;
  RandomAddress random;
  Dropout(double probability, RandomAddress address)
      : KernelOp("dropout", dropout_slot), p(probability), random(address) {}

  // Without the address: it differs from step to step and is no part of a plan's fingerprint.
  std::string attributes() const override { return fmt::format("p={}", p); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("dropout", in[0]);
    return {in[0]};
  }
  DropoutArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0], p, random};
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(record(Dropout(p, random), gradients[0]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor dropout(Tensor x, double p, bool training) {
  if (!(p >= 0 && p <= 1)) throw UserError(fmt::format("dropout: probability {} is not in [0, 1]", p));
  require_floating("dropout", x.info());
  if (!training || p == 0) return x;
  RandomDraw draw(static_cast<std::uint64_t>(x.numel()));
  Tensor y = record(Dropout(p, draw.address()), std::move(x));
  draw.keep();
  return y;
}

}  // namespace reprise
