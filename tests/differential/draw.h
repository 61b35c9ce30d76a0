#pragma once
// Random shapes, values and options of the differential cases. The seed alone decides every draw.
#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise::test::differential {

// The kind of values that a case's floating inputs have.
enum class Values {
  ordinary,  // about 1, never close to 0
  ties,      // small whole numbers, so that many are equal and many are 0
  wide,      // magnitudes over many powers of two
  huge,      // up to the greatest number of the dtype
  tiny,      // around the smallest normal number: half of them are denormal
  special    // ordinary, with NaN, infinities and zeros of both signs between
};
const char* to_string(Values values);

class Draw {
 public:
  explicit Draw(std::uint64_t seed);

  bool chance(double probability) { return unit() < probability; }
  std::int64_t whole(std::int64_t low, std::int64_t high);  // both ends are possible
  double unit();                                            // in [0, 1)
  double number(double low, double high) { return low + (high - low) * unit(); }
  template <class T>
  T one_of(std::initializer_list<T> choices) {
    return choices.begin()[whole(0, static_cast<std::int64_t>(choices.size()) - 1)];
  }

  // 0 (rare), 1, small, or around the length of a vector register. A large case has extents that keep
  // several threads busy.
  std::int64_t extent();
  std::int64_t positive_extent(std::int64_t greatest = 1 << 20);
  // Ranks from `low` to `high`; empty shapes are possible.
  Shape shape(int low, int high);
  Shape positive_shape(int low, int high);  // no extent is 0
  // A shape that broadcasts to `full`: some extents are 1, leading ones are missing.
  Shape broadcastable(const Shape& full);

  Values values() const { return values_; }
  void set_values(Values values) { values_ = values; }
  bool ordinary() const { return values_ == Values::ordinary || values_ == Values::ties; }

  // A leaf of the case's kind of values. It requires a gradient in four of five draws.
  Tensor input(const Shape& shape, DType dtype);
  Tensor positive(const Shape& shape, DType dtype);  // the same, without a sign
  Tensor constant(const Shape& shape, DType dtype);  // the same, without a gradient
  Tensor ordinary(const Shape& shape, DType dtype);  // ordinary values, without a gradient
  // A gradient to start from: the case's kind of values in one of four draws, else ordinary.
  Tensor seed(const Shape& shape, DType dtype);
  Tensor integers(const Shape& shape, std::int64_t low, std::int64_t high, DType dtype = DType::i64);
  // Any dtype: the case's kind of values for floating ones, the whole range for integers.
  Tensor any(const Shape& shape, DType dtype);

 private:
  double value(DType dtype, Values values);
  Tensor floating(const Shape& shape, DType dtype, Values values, bool requires_grad, bool positive);
  std::mt19937_64 random_;
  Values values_;
  bool large_;
};

}  // namespace reprise::test::differential
