#include "reprise/ops/permute.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace reprise {

constinit KernelSlot<PermuteArgs> permute_slot{"permute"};

namespace {

using Order = std::array<int, Shape::kMaxRank>;

Tensor permuted(Tensor x, const Order& order);

struct Permute final : Op {
  Order order;
  int rank;
  Permute(const Order& o, int r) : order(o), rank(r) {}
  std::string_view name() const override { return "permute"; }
  std::string attributes() const override {
    return fmt::format("dims={}", std::span<const int>(order).first(static_cast<std::size_t>(rank)));
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    std::array<std::int64_t, Shape::kMaxRank> extents;
    for (std::size_t d = 0; d < static_cast<std::size_t>(rank); ++d) extents[d] = in[0].shape[order[d]];
    return {{Shape(std::span<const std::int64_t>(extents).first(static_cast<std::size_t>(rank))), in[0].dtype,
             in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    permute_slot.run({in[0], out[0], order}, workspace, in[0].info->device, in[0].info->dtype);
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    Order back = {};
    for (int d = 0; d < rank; ++d) back[static_cast<std::size_t>(order[static_cast<std::size_t>(d)])] = d;
    return tensors(permuted(gradients[0], back));
  }
};

Tensor permuted(Tensor x, const Order& order) {
  const int rank = x.shape().rank();
  bool moves = false;
  for (int d = 0; d < rank; ++d) moves |= order[static_cast<std::size_t>(d)] != d;
  if (!moves) return x;
  return record(Permute(order, rank), std::move(x));
}

}  // namespace

Tensor permute(Tensor x, Dims dims) {
  const int rank = x.shape().rank();
  const auto values = dims.values();
  Order order = {};
  unsigned seen = 0;
  if (static_cast<int>(values.size()) == rank)
    for (std::size_t d = 0; d < values.size(); ++d) {
      order[d] = normalize_dim("permute", static_cast<int>(values[d]), rank);
      seen |= 1U << order[d];
    }
  if (seen + 1 != 1U << rank || static_cast<int>(values.size()) != rank)
    throw UserError(
        fmt::format("permute: {} does not name each dimension of {} once", values, to_string(x.shape())));
  return permuted(std::move(x), order);
}

Tensor transpose(Tensor x, int a, int b) {
  const int rank = x.shape().rank();
  Order order = {};
  for (int d = 0; d < rank; ++d) order[static_cast<std::size_t>(d)] = d;
  const auto first = static_cast<std::size_t>(normalize_dim("transpose", a, rank));
  const auto second = static_cast<std::size_t>(normalize_dim("transpose", b, rank));
  std::swap(order[first], order[second]);
  return permuted(std::move(x), order);
}

}  // namespace reprise
