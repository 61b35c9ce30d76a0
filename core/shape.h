#pragma once
// Shapes: up to 8 extents, outermost first, stored inline.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace reprise {

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;  // rank 0: a scalar, one element
  // Throw UserError for a negative extent, more than kMaxRank extents or more than 2^48 elements, which no machine
  // holds. So products of a shape's extents, sums of two extents and a tensor's bytes never overflow.
  Shape(std::initializer_list<std::int64_t> extents);
  Shape(std::span<const std::int64_t> extents);
  Shape(const std::vector<std::int64_t>& extents) : Shape(std::span<const std::int64_t>(extents)) {}

  // A negative dim counts from the end, as in PyTorch; out of range is a UserError.
  std::int64_t operator[](int dim) const;
  int rank() const { return rank_; }
  std::int64_t numel() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank_; ++i) product *= extents_[static_cast<std::size_t>(i)];
    return product;
  }
  std::span<const std::int64_t> extents() const { return {extents_.data(), static_cast<std::size_t>(rank_)}; }

  // A copy with one extent replaced, appended or removed.
  Shape with(int dim, std::int64_t extent) const;
  Shape append(std::int64_t extent) const;
  Shape without(int dim) const;

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.extents_[static_cast<std::size_t>(i)] != b.extents_[static_cast<std::size_t>(i)]) return false;
    return true;
  }

 private:
  std::array<std::int64_t, kMaxRank> extents_;  // only the first rank_ are meaningful
  int rank_ = 0;
};

// "[2, 3]"
std::string to_string(const Shape& shape);

// The argument of reshape: a shape of which one extent may be open, written -1 (not beside a 0).
class OpenShape {
 public:
  OpenShape() = default;
  OpenShape(const Shape& shape) : known_(shape) {}
  // Throw UserError as Shape's do, and for a second -1.
  OpenShape(std::initializer_list<std::int64_t> extents);
  OpenShape(std::span<const std::int64_t> extents);
  OpenShape(const std::vector<std::int64_t>& extents) : OpenShape(std::span<const std::int64_t>(extents)) {}

  // The shape of as many elements as `x`; UserError if there is none.
  Shape closed(const Shape& x) const;

 private:
  Shape known_;  // 1 where it is open
  int open_ = -1;
};

// dim counted from the front for a tensor of this rank; UserError naming the op when out of range.
int normalize_dim(const char* op, std::int64_t dim, int rank);

// A list of dimensions, as arguments of reductions and permute.
class Dims {
 public:
  Dims(std::int64_t dim);
  Dims(std::initializer_list<std::int64_t> dims);
  std::span<const std::int64_t> values() const { return {values_.data(), static_cast<std::size_t>(count_)}; }

 private:
  std::array<std::int64_t, Shape::kMaxRank> values_;
  int count_ = 0;
};

}  // namespace reprise
