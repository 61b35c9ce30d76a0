// Elements of one dtype into another: to floating point rounds once, to nearest, to integers truncates and saturates (nan
// becomes 0), to boolean asks "not zero".
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "reprise/core/parallel.h"
#include "reprise/core/round_to_odd.h"
#include "reprise/core/tensor.h"

namespace reprise {

namespace {

constexpr std::int64_t kGrain = 1 << 15;

template <class To, class From>
To convert_element(From from) {
  if constexpr (is_half(dtype_of<From>)) {
    return convert_element<To>(to_float(from));
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    return to_bfloat16(before_half(from));
  } else if constexpr (std::is_same_v<To, Float16>) {
    return to_float16(before_half(from));
  } else if constexpr (std::is_same_v<To, bool>) {
    return from != From{};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The largest value is not a floating-point number for the wide types, its successor is.
    const From end = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    if (std::isnan(from)) return To{};
    if (from >= end) return std::numeric_limits<To>::max();
    if (from <= (std::is_signed_v<To> ? -end : From{0})) return std::numeric_limits<To>::min();
    return static_cast<To>(from);
  } else {
    return static_cast<To>(from);
  }
}

template <class From, class To>
void convert_range(const void* from, void* to, std::int64_t count) {
  const From* source = static_cast<const From*>(from);
  To* target = static_cast<To*>(to);
  parallel_for(count, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) target[i] = convert_element<To>(source[i]);
  });
}

// Calls f with a value of the C++ type of the dtype.
template <class F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::f16:
      return f(Float16{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::boolean:
      return f(bool{});
  }
}

}  // namespace

void convert(const void* from, DType from_dtype, void* to, DType to_dtype, std::int64_t count) {
  if (count <= 0) return;
  if (from_dtype == to_dtype) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * size_of(to_dtype));
    return;
  }
  with_type(from_dtype, [&](auto f) {
    with_type(to_dtype, [&](auto t) { convert_range<decltype(f), decltype(t)>(from, to, count); });
  });
}

}  // namespace reprise
