// Products of small matrices that lie in cache, in f32: what attention's tiles are made of. Compiled once for each
// instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_PRODUCT_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_PRODUCT_H
#undef REPRISE_CPU_VECTOR_PRODUCT_H
#else
#define REPRISE_CPU_VECTOR_PRODUCT_H
#endif

#include <algorithm>

#include "reprise/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// What is read element by element: (i, k) is data[i * row + k * step].
struct Elements {
  const float* data;
  std::int64_t row, step;
};
// What is read and written in vectors: row i begins at data + i * row.
template <class T>
struct Rows {
  T* data;
  std::int64_t row;
};

// R rows of y, C vectors wide, in registers; the last vector has `last` lanes.
template <int R, int C, bool kPart>
HWY_INLINE void product_block(std::int64_t depth, Elements a, Rows<const float> b, Rows<float> y, bool add,
                              std::int64_t last) {
  const std::int64_t n = lanes();
  const auto read = [=](const float* from, int c) HWY_ATTR {
    return kPart && c == C - 1 ? load_part(from + c * n, last) : load(from + c * n);
  };
  Vec sums[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) sums[r][c] = add ? read(y.data + r * y.row, c) : hn::Zero(F32());
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec right[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) right[c] = read(b.data, c);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec left = set(a.data[r * a.row]);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) sums[r][c] = hn::MulAdd(left, right[c], sums[r][c]);
    }
    a.data += a.step;
    b.data += b.row;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      float* to = y.data + r * y.row + c * n;
      if (kPart && c == C - 1)
        store_part(sums[r][c], to, last);
      else
        store(sums[r][c], to);
    }
}

// All rows of C vectors of columns, R at a time.
template <int R, int C, bool kPart>
HWY_INLINE void product_columns(std::int64_t rows, std::int64_t depth, Elements a, Rows<const float> b,
                                Rows<float> y, bool add, std::int64_t last) {
  std::int64_t i = 0;
  const auto from_row = [&i](auto matrix) {
    matrix.data += i * matrix.row;
    return matrix;
  };
  for (; i + R <= rows; i += R) product_block<R, C, kPart>(depth, from_row(a), b, from_row(y), add, last);
  for (; i + 4 <= rows; i += 4) product_block<4, C, kPart>(depth, from_row(a), b, from_row(y), add, last);
  for (; i < rows; ++i) product_block<1, C, kPart>(depth, from_row(a), b, from_row(y), add, last);
}

// y = a b, or y += a b: a [rows, depth], b [depth, columns], y [rows, columns]. Each element is the sum over `depth` in
// ascending order. The blocks' width is what the registers hold; 4 rows a block serve an `a` that is read down its columns
// best, whose lines then hold whole blocks.
template <int R = 6>
HWY_INLINE void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, Elements a,
                        Rows<const float> b, Rows<float> y, bool add) {
#if HWY_TARGET == HWY_AVX3
  constexpr int kWide = 4;
#else
  constexpr int kWide = 2;
#endif
  const std::int64_t n = lanes();
  std::int64_t c = 0;
  const auto at = [&](auto matrix) {
    matrix.data += c;
    return matrix;
  };
  for (; c + kWide * n <= columns; c += kWide * n)
    product_columns<R, kWide, false>(rows, depth, a, at(b), at(y), add, n);
  for (; c + n <= columns; c += n) product_columns<R, 1, false>(rows, depth, a, at(b), at(y), add, n);
  if (c < columns) product_columns<R, 1, true>(rows, depth, a, at(b), at(y), add, columns - c);
}

// What a transposition may do to elements on their way.
struct Unchanged {
  template <class V>
  HWY_INLINE V operator()(V v) const {
    return v;
  }
};
struct Scaled {
  float factor;
  HWY_INLINE float operator()(float x) const { return factor * x; }
  template <class V>
  HWY_INLINE V operator()(V v) const {
    return hn::Mul(v, hn::Set(hn::DFromV<V>(), factor));
  }
};

// to[c][r] = change(from[r][c]) for r < rows, c < columns; 0 for r in [rows, width). Elements of 32 bits.
template <class T, class Change>
HWY_INLINE void transpose(Rows<const T> from, std::int64_t rows, std::int64_t columns, Change change,
                          Rows<T> to, std::int64_t width) {
  std::int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<T, 4> d;
  const hn::Repartition<double, decltype(d)> pairs;
  for (; r + 4 <= rows; r += 4) {
    std::int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      const T* at = from.data + r * from.row + c;
      const auto a0 = change(hn::LoadU(d, at)), a1 = change(hn::LoadU(d, at + from.row));
      const auto a2 = change(hn::LoadU(d, at + 2 * from.row)), a3 = change(hn::LoadU(d, at + 3 * from.row));
      const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, a0, a1)),
                 low23 = hn::BitCast(pairs, hn::InterleaveLower(d, a2, a3));
      const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, a0, a1)),
                 high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, a2, a3));
      T* out = to.data + c * to.row + r;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, out);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, out + to.row);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, out + 2 * to.row);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, out + 3 * to.row);
    }
    for (; c < columns; ++c)
      for (std::int64_t i = r; i < r + 4; ++i) to.data[c * to.row + i] = change(from.data[i * from.row + c]);
  }
#endif
  for (; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) to.data[c * to.row + r] = change(from.data[r * from.row + c]);
  if (rows < width)
    for (std::int64_t c = 0; c < columns; ++c)
      std::fill(to.data + c * to.row + rows, to.data + c * to.row + width, T{0});
}

// The sum of products of two rows, which are widened where they are bf16.
template <class T>
HWY_INLINE float dot(const T* x, const T* y, std::int64_t count) {
  Vec sum = hn::Zero(F32());
  for_places(count,
             [&](std::int64_t i, auto read) HWY_ATTR { sum = hn::MulAdd(read(x + i), read(y + i), sum); });
  return sum_of_lanes(sum);
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
