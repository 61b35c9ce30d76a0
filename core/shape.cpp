#include "reprise/core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "reprise/core/error.h"

namespace reprise {

namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

}  // namespace

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  if (extents.size() > static_cast<std::size_t>(kMaxRank))
    throw UserError(fmt::format("a shape has at most {} extents, not {}: [{}]", kMaxRank, extents.size(),
                                fmt::join(extents, ", ")));
  std::int64_t product = 1;  // of the extents that are not zero: a zero must not hide an overflow
  for (std::int64_t extent : extents) {
    if (extent < 0)
      throw UserError(fmt::format("shape [{}] has a negative extent", fmt::join(extents, ", ")));
    if (extent > 0 && product > kMaxElements / extent)
      throw UserError(fmt::format("shape [{}] has more than 2^48 elements: no machine holds them",
                                  fmt::join(extents, ", ")));
    if (extent > 0) product *= extent;
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
}

std::int64_t Shape::operator[](int dim) const {
  const int place = dim < 0 ? dim + rank_ : dim;
  if (place < 0 || place >= rank_)
    throw UserError(fmt::format("dimension {} of shape {}, which has {}", dim, to_string(*this), rank_));
  return extents_[static_cast<std::size_t>(place)];
}

Shape Shape::with(int dim, std::int64_t extent) const {
  (*this)[dim];
  std::array<std::int64_t, kMaxRank> extents = extents_;
  extents[static_cast<std::size_t>(dim < 0 ? dim + rank_ : dim)] = extent;
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank_)));
}

Shape Shape::append(std::int64_t extent) const {
  std::vector<std::int64_t> extents(extents_.begin(), extents_.begin() + rank_);
  extents.push_back(extent);
  return Shape(extents);
}

Shape Shape::without(int dim) const {
  (*this)[dim];
  std::vector<std::int64_t> extents(extents_.begin(), extents_.begin() + rank_);
  extents.erase(extents.begin() + (dim < 0 ? dim + rank_ : dim));
  return Shape(extents);
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape.extents(), ", ")); }

OpenShape::OpenShape(std::initializer_list<std::int64_t> extents)
    : OpenShape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

OpenShape::OpenShape(std::span<const std::int64_t> extents) {
  const auto open = std::find(extents.begin(), extents.end(), -1);
  if (open == extents.end()) {
    known_ = Shape(extents);
    return;
  }
  if (std::count(open, extents.end(), -1) > 1 || std::count(extents.begin(), extents.end(), 0) > 0)
    throw UserError(
        fmt::format("reshape: [{}] leaves more than one extent open: write one -1, and none beside a 0",
                    fmt::join(extents, ", ")));
  open_ = static_cast<int>(open - extents.begin());
  std::vector<std::int64_t> known(extents.begin(), extents.end());
  known[static_cast<std::size_t>(open_)] = 1;
  known_ = Shape(known);
}

Shape OpenShape::closed(const Shape& x) const {
  const std::int64_t known = known_.numel();
  if (open_ >= 0 && x.numel() % known == 0) return known_.with(open_, x.numel() / known);
  if (open_ < 0 && x.numel() == known) return known_;
  std::vector<std::int64_t> extents(known_.extents().begin(), known_.extents().end());
  if (open_ >= 0) extents[static_cast<std::size_t>(open_)] = -1;
  throw UserError(fmt::format("reshape: the {} elements of {} do not fit into [{}]", x.numel(), to_string(x),
                              fmt::join(extents, ", ")));
}

int normalize_dim(const char* op, std::int64_t dim, int rank) {
  const std::int64_t place = dim < 0 ? dim + rank : dim;
  if (place < 0 || place >= rank)
    throw UserError(
        fmt::format("{}: dimension {} is out of range for a tensor with {} dimensions", op, dim, rank));
  return static_cast<int>(place);
}

Dims::Dims(std::int64_t dim) : count_(1) { values_[0] = dim; }

Dims::Dims(std::initializer_list<std::int64_t> dims) {
  if (dims.size() > static_cast<std::size_t>(Shape::kMaxRank))
    throw UserError(fmt::format("at most {} dimensions can be listed, not {}", Shape::kMaxRank, dims.size()));
  for (std::int64_t dim : dims) values_[static_cast<std::size_t>(count_++)] = dim;
}

}  // namespace reprise
