#include "reprise/ops/avg_pool2d.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/pool_shape.h"

namespace reprise {

constinit KernelSlot<AvgPool2dArgs> avg_pool2d_slot{"avg_pool2d"};
constinit KernelSlot<AvgPool2dBackwardArgs> avg_pool2d_backward_slot{"avg_pool2d_backward"};

namespace {

// Linear, so its gradient is avg_pool2d again.
struct AvgPool2dBackward final : KernelOp<AvgPool2dBackwardArgs> {
  Shape input;
  PoolWindows windows;
  AvgPool2dBackward(const Shape& x, PoolWindows w)
      : KernelOp("avg_pool2d_backward", avg_pool2d_backward_slot), input(x), windows(w) {}

  std::string attributes() const override { return to_string(windows) + " input=" + to_string(input); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("avg_pool2d_backward", in[0]);
    return {{input, in[0].dtype, in[0].device}};
  }
  AvgPool2dBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0], windows.kernel_size, windows.stride, windows.padding};
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override;
};

struct AvgPool2d final : KernelOp<AvgPool2dArgs> {
  PoolWindows windows;
  explicit AvgPool2d(PoolWindows w) : KernelOp("avg_pool2d", avg_pool2d_slot), windows(w) {}

  std::string attributes() const override { return to_string(windows); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("avg_pool2d", in[0]);
    return {{pooled_shape("avg_pool2d", in[0].shape, windows), in[0].dtype, in[0].device}};
  }
  AvgPool2dArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0], windows.kernel_size, windows.stride, windows.padding};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(record(AvgPool2dBackward(context.infos[0].shape, windows), gradients[0]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return pooling_flops(pooled_shape("avg_pool2d", in[0].shape, windows), windows);
  }
};

std::vector<Tensor> AvgPool2dBackward::backward(const Context&, std::span<const Tensor> gradients) const {
  return tensors(record(AvgPool2d(windows), gradients[0]));
}

}  // namespace

Tensor avg_pool2d(Tensor x, Pool2dOptions options) {
  return record(AvgPool2d(pool_windows(options)), std::move(x));
}

}  // namespace reprise
