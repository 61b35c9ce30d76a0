// Sums along the rows of [rows, width], vectorized. Compiled once for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_ROWS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_ROWS_H
#undef REPRISE_CPU_VECTOR_ROWS_H
#else
#define REPRISE_CPU_VECTOR_ROWS_H
#endif

#include "reprise/core/parallel.h"
#include "reprise/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

HWY_INLINE std::int64_t rows_worth_a_thread(std::int64_t width) { return 8192 / (width + 1) + 1; }

// The sum over a row of term(i, read), in f32.
template <class Term>
HWY_INLINE float row_sum(std::int64_t width, Term term) {
  const std::int64_t n = lanes();
  Vec a = hn::Zero(F32()), b = a;
  std::int64_t i = 0;
  for (; i + 2 * n <= width; i += 2 * n) {
    a = hn::Add(a, term(i, WholeVectors()));
    b = hn::Add(b, term(i + n, WholeVectors()));
  }
  for (; i + n <= width; i += n) a = hn::Add(a, term(i, WholeVectors()));
  if (i < width) {
    const Vec last = term(i, LastLanes{width - i});  // lanes beyond the row do not count
    b = hn::Add(b, hn::IfThenElseZero(hn::FirstN(F32(), static_cast<std::size_t>(width - i)), last));
  }
  return sum_of_lanes(hn::Add(a, b));
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
