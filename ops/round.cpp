#include "reprise/ops/round.h"

namespace reprise {

constinit KernelSlot<UnaryArgs> round_slot{"round"};

namespace {

struct Round final : UnaryOp {
  Round() : UnaryOp("round", round_slot, GradientReads::nothing, 1) {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor>) const override {
    const ValueInfo& x = context.infos[0];
    return tensors(Tensor::zeros(x.shape, {.device = x.device, .dtype = x.dtype}));
  }
};

}  // namespace

Tensor round(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Round>();
  return record(op, std::move(x));
}

}  // namespace reprise
