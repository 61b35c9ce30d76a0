#include "reprise/autograd/intrinsics.h"

#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"

namespace reprise {

KernelSlot<OnesArgs> ones_slot("ones");
KernelSlot<AddSameArgs> add_same_slot("add");
KernelSlot<CastArgs> cast_slot("cast");

namespace {

struct AddGradients final : Op {
  std::string_view name() const override { return "add_gradients"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0]}; }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    add_same_slot.run({in[0], in[1], out[0]}, {}, in[0].info->device, in[0].info->dtype);
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return {gradients[0], gradients[0]};
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

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

Tensor ones_like(const ValueInfo& info) {
  Tensor ones = empty(info);
  if (!is_dry_run()) ones_slot.run({{ones.impl()->data(), &ones.info()}}, {}, info.device, info.dtype);
  return ones;
}

Tensor add_gradients(Tensor a, Tensor b) {
  static const auto op = std::make_shared<const AddGradients>();
  std::vector<Tensor> inputs;
  inputs.reserve(2);
  inputs.push_back(std::move(a));
  inputs.push_back(std::move(b));
  return std::move(record(op, std::move(inputs)).front());
}

Tensor cast(Tensor x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record(Cast(dtype), std::move(x));
}

void add_gradients_into(const View& to, const ConstView& more) {
  static const AddGradients op;
  const std::array<ConstView, 2> in = {ConstView{to.data, to.info}, more};
  const std::array<ValueInfo, 2> infos = {*to.info, *more.info};
  run_forward(op, in, {&to, 1}, infos);
}

void copy_bytes(const ConstView& from, const View& to) {
  // The CPU copies only what it can reach.
  const Device device = to.info->device.kind == Device::CPU ? from.info->device : to.info->device;
  if (to.info->bytes() > 0) services(device).copy(to.data, from.data, to.info->bytes());
}

}  // namespace reprise
