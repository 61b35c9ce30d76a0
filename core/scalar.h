#pragma once
// A number as an argument: `x + 1`, `equal(x, 0.5)`, `Tensor::full(shape, 7)`. An integer keeps all its digits, where a
// double would round it beyond 2^53.
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "reprise/core/dtype.h"

namespace reprise {

class Scalar {
 public:
  template <std::floating_point T>
  Scalar(T value) : value_(static_cast<double>(value)), whole_(whole_of(value_)) {}
  template <std::integral T>
  Scalar(T value) : value_(static_cast<double>(value)) {
    if (std::in_range<std::int64_t>(value)) whole_ = static_cast<std::int64_t>(value);
  }

  Scalar operator-() const;
  double to_double() const { return value_; }  // rounded, for an integer beyond 2^53
  // The value, if it is a whole number that i64 holds.
  std::optional<std::int64_t> whole() const { return whole_; }
  // Does `dtype` hold the value: for an integer dtype exactly, for a boolean or floating one always?
  bool fits(DType dtype) const;

 private:
  static std::optional<std::int64_t> whole_of(double value);
  double value_;
  std::optional<std::int64_t> whole_;
};

// "2.5", "9007199254740993"
std::string to_string(const Scalar& scalar);

}  // namespace reprise
