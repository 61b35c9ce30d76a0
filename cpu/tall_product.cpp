#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/tall_product.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/core/parallel.h"
#include "reprise/cpu/supported_targets.h"
#include "reprise/cpu/tall_product.h"
#include "reprise/cpu/vector_product.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// sum [m, n] += a^T b over rows [begin, end), so many at a time that those of a and of b stay in the second cache while
// each block of the sum passes over them.
void add_rows_product(const TallProduct& p, const float* a, const float* b, float* sum, std::int64_t begin,
                      std::int64_t end) {
  constexpr std::int64_t kRows = 384;
  for (std::int64_t row = begin; row < end; row += kRows)
    product<4>(p.m, p.n, std::min(kRows, end - row), {a + row * p.m, 1, p.m}, {b + row * p.n, p.n},
               {sum, p.n}, true);
}

void add_to(const float* more, float* sum, std::int64_t count) {
  map(sum, more, sum, count, [](Vec x, Vec y) HWY_ATTR { return hn::Add(x, y); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

namespace reprise::cpu {

HWY_EXPORT(add_rows_product);
HWY_EXPORT(add_to);

namespace {

constexpr std::int64_t kParts = 4;  // of the rows, each with a sum of its own: for as many threads

}  // namespace

bool TallProduct::pays() const {
  return k >= 4096 && m * n <= (1 << 17) && m % 4 == 0 && n % 64 == 0 && supports(HWY_AVX3);
}

std::size_t TallProduct::workspace() const {
  return static_cast<std::size_t>((kParts - 1) * m * n) * sizeof(float);
}

void TallProduct::run(const float* a, const float* b, float* y, std::span<std::byte> workspace) const {
  const auto sum_of = [&](std::int64_t part) {
    return part == 0 ? y : reinterpret_cast<float*>(workspace.data()) + (part - 1) * m * n;
  };
  parallel_for(kParts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      std::fill_n(sum_of(part), m * n, 0.0F);
      HWY_DYNAMIC_DISPATCH(add_rows_product)
      (*this, a, b, sum_of(part), part * k / kParts, (part + 1) * k / kParts);
    }
  });
  for (std::int64_t part = 1; part < kParts; ++part) HWY_DYNAMIC_DISPATCH(add_to)(sum_of(part), y, m * n);
}

}  // namespace reprise::cpu
#endif
