#include "reprise/ops/binary_cross_entropy.h"

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/neg.h"
#include "reprise/ops/sigmoid.h"
#include "reprise/ops/statistics.h"
#include "reprise/ops/sub.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<BinaryCrossEntropyArgs> binary_cross_entropy_slot{"binary_cross_entropy_with_logits"};

namespace {

struct BinaryCrossEntropy final : KernelOp<BinaryCrossEntropyArgs> {
  BinaryCrossEntropy() : KernelOp("binary_cross_entropy_with_logits", binary_cross_entropy_slot) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_alike(name(), in[0], in[1]);
    require_floating(name(), in[0]);
    return {{Shape(), statistics_dtype(in[0].dtype), in[0].device}};
  }
  BinaryCrossEntropyArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0]};
  }
  Saved saves(Needs needs) const override {
    if (needs(0)) return {.inputs = {0, 1}, .outputs = {}};
    return {.inputs = {0}, .outputs = {}};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor x = widened(context.inputs[0]);
    const Tensor g = gradients[0] * (1.0 / static_cast<double>(context.infos[0].shape.numel()));
    std::vector<Tensor> result(2);
    if (context.needs(0)) result[0] = (sigmoid(x) - widened(context.inputs[1])) * g;
    if (context.needs(1)) result[1] = -(x * g);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 5.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor binary_cross_entropy_with_logits(Tensor logits, Tensor targets) {
  static const std::shared_ptr<const Op> op = std::make_shared<const BinaryCrossEntropy>();
  return record(op, std::move(logits), std::move(targets));
}

}  // namespace reprise
