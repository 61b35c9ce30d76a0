#include "reprise/ops/reduced_dims.h"

#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise {

ReducedDims::ReducedDims(const char* op, const Dims& dims, int rank) : all_(false) {
  for (const std::int64_t dim : dims.values()) {
    const auto from_front = static_cast<unsigned>(normalize_dim(op, dim, rank));
    if ((mask_ >> from_front) & 1U)
      throw UserError(fmt::format("{}: dimension {} is named twice", op, from_front));
    mask_ |= 1U << from_front;
  }
}

Shape ReducedDims::kept(const Shape& x) const {
  std::array<std::int64_t, Shape::kMaxRank> extents;
  for (int d = 0; d < x.rank(); ++d)
    extents[static_cast<std::size_t>(d)] = contains(d) ? 1 : x.extents()[static_cast<std::size_t>(d)];
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(x.rank())));
}

Shape ReducedDims::removed(const Shape& x) const {
  std::array<std::int64_t, Shape::kMaxRank> extents;
  std::size_t rank = 0;
  for (int d = 0; d < x.rank(); ++d)
    if (!contains(d)) extents[rank++] = x.extents()[static_cast<std::size_t>(d)];
  return Shape(std::span<const std::int64_t>(extents.data(), rank));
}

std::string ReducedDims::text() const {
  if (all_) return "all";
  std::string list;
  for (int d = 0; d < Shape::kMaxRank; ++d)
    if (contains(d)) list += (list.empty() ? "" : ", ") + std::to_string(d);
  return "[" + list + "]";
}

}  // namespace reprise
