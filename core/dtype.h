#pragma once
// Element types. Kernels compute in f32 and f64; bf16 and f16 are stored, and computed with in f32. i32, i64, u8 and
// boolean (one byte, 0 or 1) hold indices, images and masks.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace reprise {

enum class DType : std::uint8_t { f32, f64, bf16, f16, i32, i64, u8, boolean };
inline constexpr int kDTypeCount = 8;

// Bytes of one element.
constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
      return 2;
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 0;
}

// Can a value of this type carry a gradient?
constexpr bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16;
}

// Is it bf16 or f16? Kernels read such elements into f32 and round what they write.
constexpr bool is_half(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16; }

// The range of an integer dtype (i32, i64, u8); of boolean 0 and 1.
constexpr std::int64_t smallest_integer(DType dtype) {
  if (dtype == DType::i64) return std::numeric_limits<std::int64_t>::min();
  return dtype == DType::i32 ? std::numeric_limits<std::int32_t>::min() : 0;
}
constexpr std::int64_t largest_integer(DType dtype) {
  if (dtype == DType::i64) return std::numeric_limits<std::int64_t>::max();
  if (dtype == DType::i32) return std::numeric_limits<std::int32_t>::max();
  return dtype == DType::u8 ? std::numeric_limits<std::uint8_t>::max() : 1;
}

// The dtype of a leaf's gradient: f32 for a leaf of 16 bits, so that sums over uses and steps are not rounded.
constexpr DType gradient_dtype(DType dtype) { return is_half(dtype) ? DType::f32 : dtype; }

// "f32", "bf16", "bool", ...
std::string_view to_string(DType dtype);

// The inverse of to_string; throws UserError that lists the names.
DType dtype_from_string(std::string_view name);

// Storage types of the two 16-bit formats: bits only, converted by the functions below with round to nearest even.
struct BFloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};
Float16 to_float16(float value);
float to_float(Float16 value);

// Adding just under half a unit of the last kept place, plus that place's bit, rounds to nearest even; the carry moves
// into the exponent by itself, up to infinity.
inline BFloat16 to_bfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = value != value ? (bits >> 16) | 0x0040U  // a quiet nan of the same sign
                                               : (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  return {static_cast<std::uint16_t>(rounded)};
}
inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// The C++ type of a dtype, and back.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;
template <class T>
concept HasDType = requires {
  DTypeOf<T>::value;
};

}  // namespace reprise
