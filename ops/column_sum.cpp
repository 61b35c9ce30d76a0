#include "reprise/ops/column_sum.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"
#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<ColumnSumArgs> column_sum_slot{"column_sum"};

namespace {

struct ColumnSum final : KernelOp<ColumnSumArgs> {
  ColumnSum() : KernelOp("column_sum", column_sum_slot) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("column_sum", in[0]);
    if (in[0].shape.rank() < 1)
      throw UserError("column_sum: shape [] has no columns: at least one dimension is needed");
    return {{{in[0].shape[-1]}, statistics_dtype(in[0].dtype), in[0].device}};
  }
  ColumnSumArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0]};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(broadcast_to(gradients[0], context.infos[0].shape));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor column_sum(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const ColumnSum>();
  return record(op, std::move(x));
}

}  // namespace reprise
