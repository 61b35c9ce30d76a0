// Where the rows of one head lie in attention's operands. Compiled once for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_HEADS_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_HEADS_H
#undef REPRISE_CPU_VECTOR_HEADS_H
#else
#define REPRISE_CPU_VECTOR_HEADS_H
#endif

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

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
