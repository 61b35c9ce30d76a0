#include "reprise/core/scalar.h"

#include <fmt/format.h>

namespace reprise {

std::optional<std::int64_t> Scalar::whole_of(double value) {
  if (!(value >= -0x1p63 && value < 0x1p63)) return {};  // the cast of others is undefined; also of NaN
  const auto whole = static_cast<std::int64_t>(value);
  return static_cast<double>(whole) == value ? std::optional(whole) : std::nullopt;
}

Scalar Scalar::operator-() const {
  Scalar negative = *this;
  negative.value_ = -value_;
  const bool has_negative = whole_ && *whole_ != std::numeric_limits<std::int64_t>::min();
  negative.whole_ = has_negative ? std::optional(-*whole_) : std::nullopt;
  return negative;
}

bool Scalar::fits(DType dtype) const {
  if (is_floating(dtype) || dtype == DType::boolean) return true;
  return whole_ && *whole_ >= smallest_integer(dtype) && *whole_ <= largest_integer(dtype);
}

std::string to_string(const Scalar& scalar) {
  return scalar.whole() ? fmt::format("{}", *scalar.whole()) : fmt::format("{}", scalar.to_double());
}

}  // namespace reprise
