#pragma once
// Sums, differences and products of numbers that are floating, or integers that wrap around (the built-in operators on signed
// integers are undefined when they overflow).
#include <type_traits>

namespace reprise::cpu {

template <class T, class F>
T wrapping(T a, T b, F f) {
  if constexpr (std::is_integral_v<T>) {
    using Bits = std::make_unsigned_t<T>;
    return static_cast<T>(f(static_cast<Bits>(a), static_cast<Bits>(b)));
  } else {
    return f(a, b);
  }
}
template <class T>
T wrapping_sum(T a, T b) {
  return wrapping(a, b, [](auto x, auto y) { return x + y; });
}
template <class T>
T wrapping_difference(T a, T b) {
  return wrapping(a, b, [](auto x, auto y) { return x - y; });
}
template <class T>
T wrapping_product(T a, T b) {
  return wrapping(a, b, [](auto x, auto y) { return x * y; });
}

}  // namespace reprise::cpu
