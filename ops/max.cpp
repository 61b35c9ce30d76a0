#include "reprise/ops/max.h"

#include <fmt/format.h>

#include "reprise/ops/cast.h"
#include "reprise/ops/compare.h"
#include "reprise/ops/div.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/reduced_dims.h"
#include "reprise/ops/reshape.h"
#include "reprise/ops/where.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<MaxArgs> max_slot{"max"};
constinit KernelSlot<MaxArgs> min_slot{"min"};

namespace {

// Which elements tie for the extreme value: those equal to it, or where it is NaN the NaNs.
Tensor is_extreme(const Tensor& x, Tensor extreme) {
  Tensor found = equal(x, std::move(extreme));
  const Tensor yes = Tensor::ones({}, {.device = x.device(), .dtype = DType::boolean});
  return where(std::move(found), yes, not_equal(x, x));
}

// max and min differ in the kernel alone.
struct Extreme final : KernelOp<MaxArgs> {
  ReducedDims dims;
  bool keepdim;
  Extreme(const KernelSlot<MaxArgs>& slot, ReducedDims d, bool keep)
      : KernelOp(slot.op(), slot), dims(d), keepdim(keep) {}
  std::string attributes() const override { return "dims=" + dims.text() + (keepdim ? ", keepdim" : ""); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const Shape& x = in[0].shape;
    const Shape kept = dims.kept(x);
    for (int d = 0; d < x.rank(); ++d)
      if (dims.contains(d) && x[d] == 0)
        throw UserError(fmt::format("{}: dimension {} of {} is empty", name(), d, to_string(x)));
    return {{keepdim ? kept : dims.removed(x), in[0].dtype, in[0].device}};
  }
  MaxArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0], dims.kept(in[0].info->shape)};
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {0}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& x = context.inputs[0];
    const Shape kept = dims.kept(x.shape());
    const Tensor chosen = is_extreme(x, reshape(context.outputs[0], kept));
    const Tensor gradient = widened(reshape(gradients[0], kept));
    const Tensor share = gradient / cast(sum_to(chosen, kept), gradient.dtype());
    return tensors(
        where(chosen, share, Tensor::zeros({}, {.device = share.device(), .dtype = share.dtype()})));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor max(Tensor x, Dims dims, ReduceOptions options) {
  const ReducedDims reduced("max", dims, x.shape().rank());
  return record(Extreme(max_slot, reduced, options.keepdim), std::move(x));
}

Tensor min(Tensor x, Dims dims, ReduceOptions options) {
  const ReducedDims reduced("min", dims, x.shape().rank());
  return record(Extreme(min_slot, reduced, options.keepdim), std::move(x));
}

}  // namespace reprise
