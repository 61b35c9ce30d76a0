#include "reprise/ops/cat.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/reshape.h"
#include "reprise/ops/slice.h"

namespace reprise {

constinit KernelSlot<CatArgs> cat_slot{"cat"};

namespace {

struct Cat final : Op {
  int dim;
  explicit Cat(int d) : dim(d) {}
  std::string_view name() const override { return "cat"; }
  std::string attributes() const override { return fmt::format("dim={}", dim); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const Shape& first = in[0].shape;
    std::int64_t total = 0;
    for (const ValueInfo& part : in) {
      require_same_dtype("cat", in[0], part);
      if (part.shape.rank() != first.rank() || !(part.shape.with(dim, first[dim]) == first))
        throw UserError(fmt::format("cat: shapes {} and {} differ in more than dimension {}",
                                    to_string(first), to_string(part.shape), dim));
      total += part.shape[dim];
    }
    return {{first.with(dim, total), in[0].dtype, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    cat_slot.run({in, out[0], dim}, workspace, in[0].info->device, in[0].info->dtype);
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(context.infos.size());
    std::int64_t first = 0;
    for (std::size_t i = 0; i < result.size(); ++i) {
      const std::int64_t length = context.infos[i].shape[dim];
      if (context.needs(static_cast<int>(i))) result[i] = narrow(gradients[0], dim, first, length);
      first += length;
    }
    return result;
  }
};

}  // namespace

Tensor cat(std::vector<Tensor> parts, int dim) {
  if (parts.empty()) throw UserError("cat: there are no parts");
  const int from_front = normalize_dim("cat", dim, parts[0].shape().rank());
  if (parts.size() == 1) return std::move(parts[0]);
  return std::move(record(std::make_shared<const Cat>(from_front), std::move(parts)).front());
}

Tensor stack(std::vector<Tensor> parts, int dim) {
  if (parts.empty()) throw UserError("stack: there are no parts");
  const Shape shape = parts[0].shape();
  const int from_front = normalize_dim("stack", dim, shape.rank() + 1);
  std::vector<std::int64_t> extents(shape.extents().begin(), shape.extents().end());
  extents.insert(extents.begin() + from_front, 1);
  for (Tensor& part : parts) {
    if (!(part.shape() == shape))
      throw UserError(
          fmt::format("stack: shapes {} and {} differ", to_string(shape), to_string(part.shape())));
    part = reshape(std::move(part), Shape(extents));
  }
  return cat(std::move(parts), from_front);
}

std::vector<Tensor> split(Tensor x, std::int64_t size, int dim) {
  const int from_front = normalize_dim("split", dim, x.shape().rank());
  if (size < 1) throw UserError(fmt::format("split: parts of {}: at least 1 is needed", size));
  const std::int64_t extent = x.shape()[from_front];
  std::vector<Tensor> parts;
  for (std::int64_t first = 0; first < extent; first += size)
    parts.push_back(narrow(x, from_front, first, std::min(size, extent - first)));
  return parts;
}

}  // namespace reprise
