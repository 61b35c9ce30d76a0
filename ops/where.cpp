#include "reprise/ops/where.h"

#include <fmt/format.h>

#include "reprise/ops/sum_to.h"

namespace reprise {

constinit KernelSlot<WhereArgs> where_slot{"where"};

namespace {

struct Where final : Op {
  std::string_view name() const override { return "where"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    if (in[0].dtype != DType::boolean)
      throw UserError(
          fmt::format("where: the condition is {}, not bool: compare, or convert with .to(DType::boolean)",
                      to_string(in[0].dtype)));
    require_same_dtype("where", in[1], in[2]);
    const Shape both = broadcast_shapes("where", in[1].shape, in[2].shape);
    return {{broadcast_shapes("where", in[0].shape, both), in[1].dtype, in[1].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    where_slot.run({in[0], in[1], in[2], out[0]}, workspace, in[1].info->device, in[1].info->dtype);
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& condition = context.inputs[0];
    const Tensor& gradient = gradients[0];
    const Tensor zero = Tensor::zeros({}, {.device = gradient.device(), .dtype = gradient.dtype()});
    std::vector<Tensor> result(3);
    if (context.needs(1)) result[1] = sum_to(where(condition, gradient, zero), context.infos[1].shape);
    if (context.needs(2)) result[2] = sum_to(where(condition, zero, gradient), context.infos[2].shape);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(infer(in).front().shape.numel());
  }
};

}  // namespace

Tensor where(Tensor condition, Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Where>();
  return record(op, std::move(condition), std::move(a), std::move(b));
}

}  // namespace reprise
