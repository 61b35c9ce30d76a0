#pragma once
#include <cstdint>

#include "reprise/core/dtype.h"

namespace reprise {

// For kernels that only move elements: calls f with an unsigned integer as wide as the dtype.
template <class F>
void with_word(DType dtype, F f) {
  switch (size_of(dtype)) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

}  // namespace reprise
