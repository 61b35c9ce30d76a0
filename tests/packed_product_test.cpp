#include "reprise/cpu/packed_product.h"

#include <catch2/catch.hpp>
#include <vector>

#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/whole_numbers.h"

namespace reprise::cpu {
namespace {

void convert_to(float value, float& to) { to = value; }
void convert_to(float value, BFloat16& to) { to = to_bfloat16(value); }

// `rows` begin where they say; what lies between them is never read as a number.
template <class T>
std::vector<T> matrix(std::int64_t rows, std::int64_t columns, const PixelRows& place) {
  std::vector<T> result(static_cast<std::size_t>(place[rows - 1] + columns));
  for (T& gap : result) convert_to(1000, gap);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      convert_to(test::whole_number(r, c), result[static_cast<std::size_t>(place[r] + c)]);
  return result;
}

template <class T>
void check(const PackedProduct& p) {
  const std::vector<T> a = matrix<T>(p.k, p.m, {1, p.k, 0, 0, p.m}), b = matrix<T>(p.k, p.n, p.b_rows);
  std::vector<float> expected(static_cast<std::size_t>(p.m * p.n));
  for (std::int64_t k = 0; k < p.k; ++k)
    for (std::int64_t i = 0; i < p.m; ++i)
      for (std::int64_t j = 0; j < p.n; ++j)
        expected[static_cast<std::size_t>(i * p.n + j)] +=
            test::whole_number(k, i) * test::whole_number(k, j);
  for (const int count : {1, 2, 3}) {
    const test::ThreadCount threads(count);
    INFO("m " << p.m << ", n " << p.n << ", k " << p.k << " on " << count << " threads");
    std::vector<float> y(expected.size(), -1.0F);
    std::vector<std::byte> workspace(p.workspace());
    p.run(a.data(), b.data(), y.data(), workspace);
    CHECK(y == expected);
  }
}

}  // namespace

TEST_CASE("packed products are exact where f32 is, with parts of tiles, of panels and of pieces", "[cpu]") {
  const bool bf16 = GENERATE(false, true);
  for (PackedProduct p :
       std::vector<PackedProduct>{{.m = 6, .n = 16, .k = 256},
                                  {.m = 1, .n = 1, .k = 1},
                                  {.m = 7, .n = 19, .k = 300},
                                  {.m = 5, .n = 15, .k = 7},
                                  {.m = 140, .n = 33, .k = 265},
                                  {.m = 1060, .n = 18, .k = 40},
                                  {.m = 13, .n = 1030, .k = 40},
                                  {.m = 20, .n = 24, .k = 2 * 5 * 7, .b_rows = {5, 7, 3000, 400, 48}}}) {
    p.dtype = bf16 ? DType::bf16 : DType::f32;
    bf16 ? check<BFloat16>(p) : check<float>(p);
  }
}

}  // namespace reprise::cpu
