#include "reprise/ops/reshape.h"

#include <fmt/format.h>

namespace reprise {
namespace {

struct Reshape final : Op {
  Shape shape;
  explicit Reshape(const Shape& s) : shape(s) {}
  std::string_view name() const override { return "reshape"; }
  std::string attributes() const override { return "shape=" + to_string(shape); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    if (in[0].shape.numel() != shape.numel())
      throw UserError(fmt::format("reshape: {} has {} elements, {} has {}", to_string(in[0].shape),
                                  in[0].shape.numel(), to_string(shape), shape.numel()));
    return {{shape, in[0].dtype, in[0].device}};
  }
  std::optional<Alias> alias(std::span<const ValueInfo>) const override { return Alias{0, 0}; }
  void forward(std::span<const ConstView>, std::span<const View>, std::span<std::byte>) const override {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(reshape(gradients[0], context.infos[0].shape));
  }
};

}  // namespace

Tensor reshape(Tensor x, const OpenShape& shape) {
  const Shape closed = shape.closed(x.shape());
  if (x.shape() == closed) return x;
  return record(Reshape(closed), std::move(x));
}

Tensor flatten(Tensor x, int start) {
  const Shape& shape = x.shape();
  if (shape.rank() == 0) return reshape(std::move(x), {1});
  const auto first = static_cast<std::size_t>(normalize_dim("flatten", start, shape.rank()));
  std::vector<std::int64_t> extents(shape.extents().begin(),
                                    shape.extents().begin() + static_cast<std::ptrdiff_t>(first));
  std::int64_t rest = 1;
  for (const std::int64_t extent : shape.extents().subspan(first)) rest *= extent;
  extents.push_back(rest);
  return reshape(std::move(x), Shape(extents));
}

}  // namespace reprise
