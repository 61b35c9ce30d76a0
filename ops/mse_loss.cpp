#include "reprise/ops/mse_loss.h"

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/neg.h"
#include "reprise/ops/statistics.h"
#include "reprise/ops/sub.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<MseLossArgs> mse_loss_slot{"mse_loss"};

namespace {

struct MseLoss final : KernelOp<MseLossArgs> {
  MseLoss() : KernelOp("mse_loss", mse_loss_slot) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_alike("mse_loss", in[0], in[1]);
    require_floating("mse_loss", in[0]);
    return {{Shape(), statistics_dtype(in[0].dtype), in[0].device}};
  }
  MseLossArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0]};
  }
  Saved saves(Needs) const override { return {.inputs = {0, 1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const double factor = 2.0 / static_cast<double>(context.infos[0].shape.numel());
    Tensor da = (widened(context.inputs[0]) - widened(context.inputs[1])) * (gradients[0] * factor);
    std::vector<Tensor> result(2);
    if (context.needs(1)) result[1] = -da;
    if (context.needs(0)) result[0] = std::move(da);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 3.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor mse_loss(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const MseLoss>();
  return record(op, std::move(a), std::move(b));
}

}  // namespace reprise
