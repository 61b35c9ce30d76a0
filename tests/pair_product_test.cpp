#include "reprise/cpu/pair_product.h"

#include <catch2/catch.hpp>
#include <vector>

#include "reprise/tests/whole_numbers.h"

namespace reprise::cpu {
TEST_CASE("pair products are exact where f32 is, and touch nothing beside y", "[cpu]") {
  if (pair_products().empty()) {
    WARN("skipped: this processor has no instructions for products of bf16");
    return;
  }
  const std::int64_t rows = GENERATE(16, 32, 48, 64), columns = GENERATE(32, 64), depth = GENERATE(32, 96);
  const bool add = GENERATE(false, true);
  const std::int64_t a_row = depth + 6, b_row = columns + 16, y_row = columns + 3;  // rows lie apart
  std::vector<BFloat16> a(static_cast<std::size_t>(rows * a_row));
  std::vector<std::uint32_t> b(static_cast<std::size_t>(depth / 2 * b_row));
  std::vector<float> y(static_cast<std::size_t>(rows * y_row), 3.0F);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 0; k < depth; ++k)
      a[static_cast<std::size_t>(r * a_row + k)] = to_bfloat16(test::whole_number(r, k));
  for (std::int64_t k = 0; k < depth; ++k)
    for (std::int64_t c = 0; c < columns; ++c)
      b[static_cast<std::size_t>(k / 2 * b_row + c)] |=
          static_cast<std::uint32_t>(to_bfloat16(test::whole_number(k, c)).bits) << (k % 2 == 0 ? 0 : 16);
  std::vector<float> expected = y;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      float sum = add ? 3.0F : 0.0F;
      for (std::int64_t k = 0; k < depth; ++k) sum += test::whole_number(r, k) * test::whole_number(k, c);
      expected[static_cast<std::size_t>(r * y_row + c)] = sum;
    }
  for (const PairProduct* product : pair_products()) {
    INFO(product->name << ", " << rows << " rows, " << columns << " columns, depth " << depth << ", add "
                       << add);
    std::vector<float> actual = y;
    const PairProducts multiply(*product);
    multiply(rows, columns, depth, {a.data(), a_row, b.data(), b_row, actual.data(), y_row}, add);
    CHECK(actual == expected);
  }
}

}  // namespace reprise::cpu
