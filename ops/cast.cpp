#include "reprise/ops/cast.h"

namespace reprise {

constinit KernelSlot<CastArgs> cast_slot{"cast"};

namespace {

struct Cast final : Op {
  DType dtype;
  explicit Cast(DType d) : dtype(d) {}
  std::string_view name() const override { return "cast"; }
  std::string attributes() const override { return "dtype=" + std::string(to_string(dtype)); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {{in[0].shape, dtype, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    cast_slot.run({in[0], out[0]}, workspace, in[0].info->device, in[0].info->dtype);
  }
  std::vector<int> differentiable() const override {
    if (is_floating(dtype)) return {0};
    return {};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(cast(gradients[0], context.infos[0].dtype));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor cast(Tensor x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record(Cast(dtype), std::move(x));
}

}  // namespace reprise
