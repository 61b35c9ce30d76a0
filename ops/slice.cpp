#include "reprise/ops/slice.h"

#include <fmt/format.h>

namespace reprise {

constinit KernelSlot<NarrowArgs> narrow_slot{"narrow"};
constinit KernelSlot<PadArgs> pad_slot{"pad"};

namespace {

// Elements of one index of dimension `dim`: the product of the extents after it.
std::int64_t elements_after(const Shape& shape, int dim) {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape.extents().subspan(static_cast<std::size_t>(dim) + 1))
    product *= extent;
  return product;
}

// x[first : first + length] of the leading dimension.
struct Slice final : Op {
  std::int64_t first, length;
  Slice(std::int64_t f, std::int64_t l) : first(f), length(l) {}
  std::string_view name() const override { return "slice"; }
  std::string attributes() const override { return fmt::format("first={}, length={}", first, length); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {{in[0].shape.with(0, length), in[0].dtype, in[0].device}};
  }
  std::optional<Alias> alias(std::span<const ValueInfo> in) const override {
    const std::int64_t elements = first * elements_after(in[0].shape, 0);
    return Alias{0, static_cast<std::size_t>(elements) * size_of(in[0].dtype)};
  }
  void forward(std::span<const ConstView>, std::span<const View>, std::span<std::byte>) const override {}
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const std::int64_t rows = context.infos[0].shape[0];
    return tensors(pad(gradients[0], 0, first, rows - first - length));
  }
};

struct Narrow final : Op {
  int dim;
  std::int64_t first, length;
  Narrow(int d, std::int64_t f, std::int64_t l) : dim(d), first(f), length(l) {}
  std::string_view name() const override { return "narrow"; }
  std::string attributes() const override {
    return fmt::format("dim={}, first={}, length={}", dim, first, length);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {{in[0].shape.with(dim, length), in[0].dtype, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    narrow_slot.run({in[0], out[0], dim, first}, workspace, in[0].info->device, in[0].info->dtype);
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(pad(gradients[0], dim, first, context.infos[0].shape[dim] - first - length));
  }
};

struct Pad final : Op {
  int dim;
  std::int64_t before, after;
  Pad(int d, std::int64_t b, std::int64_t a) : dim(d), before(b), after(a) {}
  std::string_view name() const override { return "pad"; }
  std::string attributes() const override {
    return fmt::format("dim={}, before={}, after={}", dim, before, after);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {{in[0].shape.with(dim, before + in[0].shape[dim] + after), in[0].dtype, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    pad_slot.run({in[0], out[0], dim, before}, workspace, in[0].info->device, in[0].info->dtype);
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(narrow(gradients[0], dim, before, context.infos[0].shape[dim]));
  }
};

}  // namespace

Tensor slice(Tensor x, std::int64_t first, std::int64_t last) {
  if (x.shape().rank() == 0) throw UserError("slice: a scalar has no leading dimension");
  const std::int64_t rows = x.shape()[0];
  const std::int64_t from = first < 0 ? first + rows : first, to = last < 0 ? last + rows : last;
  if (from < 0 || from > to || to > rows)
    throw UserError(fmt::format("slice: [{}, {}) does not lie in the leading dimension of {}", first, last,
                                to_string(x.shape())));
  if (from == 0 && to == rows) return x;
  return record(Slice(from, to - from), std::move(x));
}

Tensor narrow(Tensor x, int dim, std::int64_t first, std::int64_t length) {
  const Shape& shape = x.shape();
  const int from_front = normalize_dim("narrow", dim, shape.rank());
  const std::int64_t extent = shape[from_front];
  if (first < 0 || length < 0 || first > extent || length > extent - first)
    throw UserError(fmt::format("narrow: {} elements from {} on do not lie in dimension {} of {}", length,
                                first, dim, to_string(shape)));
  if (length == extent) return x;
  if (from_front == 0) return slice(std::move(x), first, first + length);
  return record(Narrow(from_front, first, length), std::move(x));
}

Tensor pad(Tensor x, int dim, std::int64_t before, std::int64_t after) {
  const int from_front = normalize_dim("pad", dim, x.shape().rank());
  constexpr std::int64_t kMost = std::int64_t{1}
                                 << 48;  // elements of a shape: the sums below cannot overflow
  if (before < 0 || after < 0 || before > kMost || after > kMost)
    throw UserError(
        fmt::format("pad: {} before and {} after: each must be at least 0 and at most 2^48", before, after));
  if (before == 0 && after == 0) return x;
  return record(Pad(from_front, before, after), std::move(x));
}

}  // namespace reprise
