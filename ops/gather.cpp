#include "reprise/ops/gather.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"

namespace reprise {

constinit KernelSlot<GatherArgs> gather_slot{"gather"};
constinit KernelSlot<ScatterAddArgs> scatter_add_slot{"scatter_add"};

namespace {

// Can an index of this kind pick from a tensor of shape x?
void require_index(std::string_view op, const ValueInfo& index, const Shape& x, int dim) {
  if (index.dtype != DType::i64)
    throw UserError(fmt::format("{}: the index is {}, not i64: convert with .to(DType::i64)", op,
                                to_string(index.dtype)));
  bool fits = index.shape.rank() == x.rank();
  for (int d = 0; fits && d < x.rank(); ++d) fits = d == dim || index.shape[d] <= x[d];
  if (!fits)
    throw UserError(
        fmt::format("{}: shape {} and the index's {} do not fit: equal ranks, and no larger outside "
                    "dimension {}",
                    op, to_string(x), to_string(index.shape), dim));
}

struct Gather final : Op {
  int dim;
  explicit Gather(int d) : dim(d) {}
  std::string_view name() const override { return "gather"; }
  std::string attributes() const override { return fmt::format("dim={}", dim); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_index("gather", in[1], in[0].shape, dim);
    return {{in[1].shape, in[0].dtype, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    gather_slot.run({in[0], in[1], out[0], dim}, workspace, in[0].info->device, in[0].info->dtype);
  }
  Saved saves(Needs) const override { return {.inputs = {1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    result[0] = scatter_add(gradients[0], dim, context.inputs[1], context.infos[0].shape);
    return result;
  }
};

struct ScatterAdd final : Op {
  int dim;
  Shape shape;
  ScatterAdd(int d, const Shape& s) : dim(d), shape(s) {}
  std::string_view name() const override { return "scatter_add"; }
  std::string attributes() const override { return fmt::format("dim={}, shape={}", dim, to_string(shape)); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating("scatter_add", in[0]);
    require_same_shape("scatter_add", in[0], in[1]);
    require_index("scatter_add", in[1], shape, dim);
    return {{shape, in[0].dtype, in[0].device}};
  }
  std::size_t workspace(std::span<const ValueInfo> in, Device device) const override {
    const ValueInfo y = infer(in)[0];
    return scatter_add_slot.workspace({{nullptr, &in[0]}, {nullptr, &in[1]}, {nullptr, &y}, dim}, device,
                                      y.dtype);
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    scatter_add_slot.run({in[0], in[1], out[0], dim}, workspace, in[0].info->device, in[0].info->dtype);
  }
  Saved saves(Needs) const override { return {.inputs = {1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    result[0] = gather(gradients[0], dim, context.inputs[1]);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor gather(Tensor x, int dim, Tensor index) {
  const int from_front = normalize_dim("gather", dim, x.shape().rank());
  return record(Gather(from_front), std::move(x), std::move(index));
}

Tensor scatter_add(Tensor source, int dim, Tensor index, const Shape& shape) {
  const int from_front = normalize_dim("scatter_add", dim, shape.rank());
  return record(ScatterAdd(from_front, shape), std::move(source), std::move(index));
}

}  // namespace reprise
