#include "reprise/tests/differential/draw.h"

#include <cmath>
#include <limits>

namespace reprise::test::differential {
namespace {

// The exponents of the greatest and of the smallest normal number.
struct Range {
  int greatest, smallest;
};
Range range_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return {1023, -1022};
    case DType::f16:
      return {15, -14};
    default:
      return {127, -126};
  }
}

constexpr std::int64_t kMostElements = 4096, kMostElementsOfLarge = 60000;

}  // namespace

const char* to_string(Values values) {
  constexpr const char* names[] = {"ordinary", "ties", "wide", "huge", "tiny", "special"};
  return names[static_cast<int>(values)];
}

Draw::Draw(std::uint64_t seed) : random_(seed) {
  const double u = unit();
  values_ = u < 0.45   ? Values::ordinary
            : u < 0.60 ? Values::ties
            : u < 0.72 ? Values::wide
            : u < 0.80 ? Values::huge
            : u < 0.88 ? Values::tiny
                       : Values::special;
  large_ = chance(0.02);
}

std::int64_t Draw::whole(std::int64_t low, std::int64_t high) {
  const auto count = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) +
                                   (count == 0 ? random_() : random_() % count));
}
double Draw::unit() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

std::int64_t Draw::extent() { return chance(0.03) ? 0 : positive_extent(); }

std::int64_t Draw::positive_extent(std::int64_t greatest) {
  const double u = unit();
  std::int64_t result = u < 0.17   ? 1
                        : u < 0.80 ? whole(2, 9)
                        : u < 0.92 ? one_of<std::int64_t>({7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65})
                                   : whole(10, 100);
  if (large_ && chance(0.5)) result = whole(40, 300);
  return std::min(result, greatest);
}

Shape Draw::shape(int low, int high) {
  const Shape shape = positive_shape(low, high);
  for (int d = 0; d < shape.rank(); ++d)
    if (chance(0.02)) return shape.with(d, 0);
  return shape;
}

Shape Draw::positive_shape(int low, int high) {
  std::int64_t room = large_ ? kMostElementsOfLarge : kMostElements;
  Shape shape;
  for (std::int64_t rank = whole(low, high); rank > 0; --rank) {
    const std::int64_t extent = positive_extent(room);
    shape = shape.append(extent);
    room /= extent;
  }
  return shape;
}

Shape Draw::broadcastable(const Shape& full) {
  if (chance(0.4)) return full;
  const auto extents = full.extents();
  std::vector<std::int64_t> result(extents.begin() + whole(0, full.rank()), extents.end());
  for (std::int64_t& extent : result)
    if (chance(0.3)) extent = 1;
  return Shape(result);
}

double Draw::value(DType dtype, Values values) {
  const Range range = range_of(dtype);
  const double sign = chance(0.5) ? 1 : -1;
  switch (values) {
    case Values::ordinary:
      return sign * number(0.05, 2);
    case Values::ties:
      return static_cast<double>(whole(-3, 3));
    case Values::wide:
      return sign * std::ldexp(number(1, 2), static_cast<int>(whole(range.smallest / 4, range.greatest / 4)));
    case Values::huge:
      return sign * std::ldexp(number(1, 1.999), range.greatest - static_cast<int>(whole(0, 3)));
    case Values::tiny:
      return sign * std::ldexp(number(1, 2), range.smallest + static_cast<int>(whole(-6, 4)));
    case Values::special:
      if (chance(0.85)) return value(dtype, chance(0.2) ? Values::wide : Values::ordinary);
      return one_of<double>({std::nan(""), sign * INFINITY, sign * 0.0, sign});
  }
  return 0;
}

Tensor Draw::floating(const Shape& shape, DType dtype, Values values, bool requires_grad, bool positive) {
  std::vector<double> list(static_cast<std::size_t>(shape.numel()));
  // One huge value among ordinary ones finds more than a tensor of huge values alone.
  const bool sparse = values == Values::huge && chance(0.5);
  for (double& x : list) {
    x = value(dtype, sparse && !chance(0.05) ? Values::ordinary : values);
    if (positive) x = std::abs(x);
  }
  return Tensor::from(list, shape, {.dtype = dtype, .requires_grad = requires_grad});
}

Tensor Draw::input(const Shape& shape, DType dtype) {
  return floating(shape, dtype, values_, chance(0.8), false);
}
Tensor Draw::positive(const Shape& shape, DType dtype) {
  return floating(shape, dtype, values_, chance(0.8), true);
}
Tensor Draw::constant(const Shape& shape, DType dtype) {
  return floating(shape, dtype, values_, false, false);
}
Tensor Draw::ordinary(const Shape& shape, DType dtype) {
  return floating(shape, dtype, Values::ordinary, false, false);
}
Tensor Draw::seed(const Shape& shape, DType dtype) {
  return floating(shape, dtype, chance(0.25) ? values_ : Values::ordinary, false, false);
}

Tensor Draw::integers(const Shape& shape, std::int64_t low, std::int64_t high, DType dtype) {
  std::vector<std::int64_t> list(static_cast<std::size_t>(shape.numel()));
  for (std::int64_t& x : list) x = whole(low, high);
  return Tensor::from(list, shape, {.dtype = dtype});
}

Tensor Draw::any(const Shape& shape, DType dtype) {
  switch (dtype) {
    case DType::i32:
      if (values_ == Values::huge) return integers(shape, INT32_MIN, INT32_MAX, dtype);
      return integers(shape, -4, 4, dtype);
    case DType::i64:
      if (values_ == Values::huge) return integers(shape, INT64_MIN, INT64_MAX, dtype);
      return integers(shape, -4, 4, dtype);
    case DType::u8:
      return integers(shape, 0, values_ == Values::huge ? 255 : 4, dtype);
    case DType::boolean:
      return integers(shape, 0, 1, dtype);
    default:
      return input(shape, dtype);
  }
}

}  // namespace reprise::test::differential
