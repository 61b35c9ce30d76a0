#include "reprise/ops/max_pool2d.h"

#include <fmt/format.h>

#include "reprise/core/error.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/pool_shape.h"

namespace reprise {

constinit KernelSlot<MaxPool2dArgs> max_pool2d_slot{"max_pool2d"};
constinit KernelSlot<MaxPool2dBackwardArgs> max_pool2d_backward_slot{"max_pool2d_backward"};

namespace {

// Inputs dy, index; output dx.
struct MaxPool2dBackward final : KernelOp<MaxPool2dBackwardArgs> {
  Shape input;
  PoolWindows windows;
  MaxPool2dBackward(const Shape& x, PoolWindows w)
      : KernelOp("max_pool2d_backward", max_pool2d_backward_slot), input(x), windows(w) {}

  std::string attributes() const override { return to_string(windows) + " input=" + to_string(input); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("max_pool2d_backward", in[0]);
    require_same_shape("max_pool2d_backward", in[0], in[1]);
    return {{input, in[0].dtype, in[0].device}};
  }
  MaxPool2dBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], windows.kernel_size, windows.stride, windows.padding};
  }
};

struct MaxPool2d final : KernelOp<MaxPool2dArgs> {
  PoolWindows windows;
  bool relu;
  MaxPool2d(PoolWindows w, bool after_relu)
      : KernelOp(after_relu ? "max_pool2d_relu" : "max_pool2d", max_pool2d_slot),
        windows(w),
        relu(after_relu) {}

  std::string attributes() const override { return to_string(windows); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating(name(), in[0]);
    const Shape y = pooled_shape(name(), in[0].shape, windows);
    if (in[0].shape[1] == 0 || in[0].shape[2] == 0)
      throw UserError(fmt::format("{}: x {} has no pixels: its height and width must be at least 1", name(),
                                  to_string(in[0].shape)));
    const DType index = windows.kernel_size.h * windows.kernel_size.w <= 255 ? DType::u8 : DType::i32;
    return {{y, in[0].dtype, in[0].device}, {y, index, in[0].device}};
  }
  MaxPool2dArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0], out[1], windows.kernel_size, windows.stride, windows.padding, relu};
  }
  Saved saves(Needs) const override { return {.inputs = {}, .outputs = {1}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(
        record(MaxPool2dBackward(context.infos[0].shape, windows), gradients[0], context.outputs[1]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return pooling_flops(pooled_shape(name(), in[0].shape, windows), windows);
  }
};

}  // namespace

Tensor max_pool2d(Tensor x, Pool2dOptions options) {
  return record(MaxPool2d(pool_windows(options), false), std::move(x));
}

Tensor max_pool2d_relu(Tensor x, Pool2dOptions options) {
  return record(MaxPool2d(pool_windows(options), true), std::move(x));
}

}  // namespace reprise
