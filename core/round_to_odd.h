#pragma once
// Numbers on their way to 16 bits: cut off to f32, with the last bit set if anything was lost. The cut number rounds to
// bf16 or f16 as the exact one does; the nearest f32 would be rounded a second time (Boldo and Melquiond, "Emulation of
// FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
#include <bit>
#include <cstdint>
#include <type_traits>

namespace reprise {

namespace detail {

// The sign of near - exact.
constexpr int order(float near, double exact) {
  const double wide = near;
  return wide < exact ? -1 : wide > exact ? 1 : 0;
}
constexpr int order(double near, std::int64_t exact) {
  if (near >= 0x1p63) return 1;  // whose cast is undefined
  const auto whole = static_cast<std::int64_t>(near);
  return whole < exact ? -1 : whole > exact ? 1 : 0;
}

template <class To, class From>
constexpr To round_to_odd(From exact) {
  using Bits = std::conditional_t<sizeof(To) == 4, std::uint32_t, std::uint64_t>;
  const To near = static_cast<To>(exact);
  const int error = order(near, exact);
  if (error == 0) return near;  // NaN too
  Bits bits = std::bit_cast<Bits>(near);
  const bool negative = bits >> (8 * sizeof(Bits) - 1) != 0;
  if (negative ? error < 0 : error > 0) --bits;  // towards 0
  return std::bit_cast<To>(bits | 1U);
}

}  // namespace detail

// The f32 number that rounds to 16 bits as `from` does.
template <class From>
constexpr float before_half(From from) {
  if constexpr (std::is_same_v<From, double>)
    return detail::round_to_odd<float>(from);
  else if constexpr (std::is_same_v<From, std::int32_t>)
    return detail::round_to_odd<float>(static_cast<double>(from));
  else if constexpr (std::is_same_v<From, std::int64_t>)
    return detail::round_to_odd<float>(detail::round_to_odd<double>(from));
  else
    return static_cast<float>(from);
}

}  // namespace reprise
