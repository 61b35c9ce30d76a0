// Where the rows of one head lie in attention's operands, and what both ways to compute it read and write there. Compiled once for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_HEADS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_HEADS_H
#undef REPRISE_CPU_VECTOR_HEADS_H
#else
#define REPRISE_CPU_VECTOR_HEADS_H
#endif

#include <cmath>

#include "reprise/cpu/attention_tiles.h"
#include "reprise/cpu/vector_product.h"
#include "reprise/ops/attention.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// The rows of one head of q, k, v or a gradient of one.
template <class T>
HWY_INLINE Rows<const T> head_rows(const HeadRows<ConstView>& of, const AttentionShape& s,
                                   std::int64_t positions, std::int64_t b, std::int64_t h) {
  return {of.values.as<T>() + b * positions * of.row + of.first + h * s.head_dim, of.row};
}
template <class T>
HWY_INLINE Rows<T> head_rows(const HeadRows<View>& of, const AttentionShape& s, std::int64_t positions,
                             std::int64_t b, std::int64_t h) {
  if (!of.values.info) return {nullptr, 0};
  return {of.values.as<T>() + b * positions * of.row + of.first + h * s.head_dim, of.row};
}
// y or dy.
template <class V>
HWY_INLINE HeadRows<V> whole(const V& values, const AttentionShape& s) {
  return {values, 0, s.heads * s.head_dim};
}
template <class T>
HWY_INLINE Rows<T> from_row(Rows<T> rows, std::int64_t first) {
  return {rows.data + first * rows.row, rows.row};
}

// No element is NaN or infinite.
template <class T>
HWY_INLINE bool all_finite(Rows<const T> rows, std::int64_t count, std::int64_t columns) {
  Vec sum = hn::Zero(F32());  // of x - x: 0 if x is finite, NaN otherwise
  for (std::int64_t i = 0; i < count; ++i)
    for_places(columns, [&](std::int64_t d, auto read) HWY_ATTR {
      const Vec x = read(from_row(rows, i).data + d);
      sum = hn::Add(sum, hn::Sub(x, x));
    });
  return sum_of_lanes(sum) == 0;
}

// To bf16, to nearest even; nothing where `to` is not wanted.
HWY_INLINE void round_rows(Rows<float> from, std::int64_t rows, std::int64_t columns, Rows<BFloat16> to) {
  for (std::int64_t i = 0; to.data && i < rows; ++i)
    map(from_row(from, i).data, from_row(to, i).data, columns, [](Vec x) HWY_ATTR { return x; });
}

// What the gradients of scores are made with, for the tile of queries from q0 on: lse as forward left it, and delta, the sum of
// dy y of each query. 0 beyond the last query, and for the lse of one that sees no key: all its scores are minus infinity.
template <class T>
HWY_INLINE void read_row_terms(const AttentionShape& s, std::int64_t q0, Rows<const T> dy, Rows<const T> y,
                               const float* forward_lse, float* lse, float* delta) {
  for (std::int64_t i = 0; i < kTile; ++i) {
    const bool there = q0 + i < s.queries;
    delta[i] = there ? dot(from_row(dy, q0 + i).data, from_row(y, q0 + i).data, s.head_dim) : 0;
    const float value = there ? forward_lse[q0 + i] : 0;
    lse[i] = std::isinf(value) ? 0 : value;
  }
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
