#include "reprise/ops/sum_to.h"

#include <fmt/format.h>

#include "reprise/ops/cast.h"
#include "reprise/ops/elementwise.h"

namespace reprise {

constinit KernelSlot<SumArgs> sum_slot{"sum"};
constinit KernelSlot<BroadcastToArgs> broadcast_to_slot{"broadcast_to"};

namespace {

void require_broadcastable(std::string_view op, const Shape& from, const Shape& to) {
  if (!(broadcast_shapes(op, from, to) == to))
    throw UserError(fmt::format("{}: shape {} does not broadcast to {}", op, to_string(from), to_string(to)));
}

// `shape` with extents of 1 in front, until it has this rank.
Shape padded(const Shape& shape, int rank) {
  std::vector<std::int64_t> extents(static_cast<std::size_t>(rank - shape.rank()), 1);
  extents.insert(extents.end(), shape.extents().begin(), shape.extents().end());
  return Shape(extents);
}

struct SumTo final : KernelOp<SumArgs> {
  Shape shape;
  explicit SumTo(const Shape& s) : KernelOp("sum_to", sum_slot), shape(s) {}
  std::string attributes() const override { return "shape=" + to_string(shape); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_broadcastable("sum_to", shape, in[0].shape);
    return {{shape, summed_dtype(in[0].dtype), in[0].device}};
  }
  SumArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0], padded(shape, in[0].info->shape.rank())};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(broadcast_to(gradients[0], context.infos[0].shape));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

struct BroadcastTo final : KernelOp<BroadcastToArgs> {
  Shape shape;
  explicit BroadcastTo(const Shape& s) : KernelOp("broadcast_to", broadcast_to_slot), shape(s) {}
  std::string attributes() const override { return "shape=" + to_string(shape); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_broadcastable("broadcast_to", in[0].shape, shape);
    return {{shape, in[0].dtype, in[0].device}};
  }
  BroadcastToArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], out[0]};
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(sum_to(gradients[0], context.infos[0].shape));
  }
};

}  // namespace

Tensor sum_to(Tensor x, const Shape& shape) {
  const DType dtype = summed_dtype(x.dtype());
  if (x.shape() == shape) return cast(std::move(x), dtype);
  return record(SumTo(shape), std::move(x));
}

Tensor broadcast_to(Tensor x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return record(BroadcastTo(shape), std::move(x));
}

}  // namespace reprise
