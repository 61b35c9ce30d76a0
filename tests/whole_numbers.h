#pragma once
// Elements of matrices whose products are exact.
#include <cstdint>

namespace reprise::test {

// Whole numbers whose sums of products bf16 and f32 hold exactly, different in every row and column.
inline float whole_number(std::int64_t row, std::int64_t column) {
  return static_cast<float>((7 * row + 5 * column) % 23 - 11);
}

}  // namespace reprise::test
