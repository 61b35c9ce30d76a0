#include "reprise/core/dtype.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "reprise/core/error.h"

namespace reprise {

std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
    case DType::boolean:
      return "bool";
  }
  return "?";
}

DType dtype_from_string(std::string_view name) {
  std::string known;
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = static_cast<DType>(i);
    if (to_string(dtype) == name) return dtype;
    known += fmt::format("{}{}", i ? ", " : "", to_string(dtype));
  }
  throw UserError(fmt::format("there is no dtype \"{}\"; the dtypes are {}", name, known));
}

Float16 to_float16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  std::uint32_t half = 0;
  if (magnitude > 0x7F800000U) {
    half = 0x7E00U | ((magnitude >> 13) & 0x01FFU);  // nan: quiet, payload kept
  } else if (magnitude >= 0x477FF000U) {
    half = 0x7C00U;  // 65520 and above round to infinity
  } else if (magnitude >= 0x38800000U) {
    half = (magnitude + 0x0FFFU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 13;
  } else {
    // Below 2^-14: a multiple of 2^-24. Adding 1/2 lines the last place of a float up with 2^-24, so the addition itself
    // rounds to nearest even.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3F000000U;
  }
  return {static_cast<std::uint16_t>(sign | half)};
}

float to_float(Float16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
  const std::uint32_t magnitude = value.bits & 0x7FFFU;
  if (magnitude >= 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U | ((magnitude & 0x03FFU) << 13));
  if (magnitude >= 0x0400U) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000U));
  const float small = static_cast<float>(magnitude) * 0x1p-24F;
  return sign ? -small : small;
}

}  // namespace reprise
