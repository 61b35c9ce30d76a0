// The transforms of Winograd's F(4x4, 3x3) (Lavin and Gray, 2016: B^T, G, A^T), on vectors of channels. With 1-D operands,
// y = A^T ((G g) * (B^T d)); the gradient of g is therefore G^T ((A dy) * (B^T d)). The points are 0, a, -a, b, -b and infinity
// with a = 5/8 and b = 3/2, whose errors are half of those at 1 and 2, which the paper takes. Compiled once for each
// instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_WINOGRAD_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_WINOGRAD_H
#undef REPRISE_CPU_VECTOR_WINOGRAD_H
#else
#define REPRISE_CPU_VECTOR_WINOGRAD_H
#endif

#include "reprise/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr float kA = 0.625F, kB = 1.5F, kA2 = kA * kA, kB2 = kB * kB, kA3 = kA2 * kA, kB3 = kB2 * kB;
// The weights' factors: 1 over the product of a point's differences to the other ones.
inline constexpr float kG0 = 1 / (kA2 * kB2), kGA = 1 / (2 * kA2 * (kA2 - kB2)),
                       kGB = 1 / (2 * kB2 * (kB2 - kA2));

// B^T: 6 pixels of x to 6 points.
struct OfInput {
  static constexpr int kFrom = 6, kTo = 6;
  static HWY_INLINE void apply(const Vec (&d)[6], Vec (&t)[6]) {
    const Vec a = set(kA), b = set(kB), a2 = set(kA2), b2 = set(kB2), product = set(kA2 * kB2),
              sum = set(kA2 + kB2);
    const Vec even_a = hn::NegMulAdd(b2, d[2], d[4]), odd_a = hn::NegMulAdd(b2, d[1], d[3]);
    const Vec even_b = hn::NegMulAdd(a2, d[2], d[4]), odd_b = hn::NegMulAdd(a2, d[1], d[3]);
    t[0] = hn::MulAdd(product, d[0], hn::NegMulAdd(sum, d[2], d[4]));
    t[1] = hn::MulAdd(a, odd_a, even_a);
    t[2] = hn::NegMulAdd(a, odd_a, even_a);
    t[3] = hn::MulAdd(b, odd_b, even_b);
    t[4] = hn::NegMulAdd(b, odd_b, even_b);
    t[5] = hn::MulAdd(product, d[1], hn::NegMulAdd(sum, d[3], d[5]));
  }
};
// G: 3 weights to 6 points.
struct OfWeight {
  static constexpr int kFrom = 3, kTo = 6;
  static HWY_INLINE void apply(const Vec (&g)[3], Vec (&t)[6]) {
    const Vec even_a = hn::MulAdd(set(kGA * kA2), g[2], hn::Mul(set(kGA), g[0]));
    const Vec even_b = hn::MulAdd(set(kGB * kB2), g[2], hn::Mul(set(kGB), g[0]));
    const Vec odd_a = set(kGA * kA), odd_b = set(kGB * kB);
    t[0] = hn::Mul(set(kG0), g[0]);
    t[1] = hn::MulAdd(odd_a, g[1], even_a);
    t[2] = hn::NegMulAdd(odd_a, g[1], even_a);
    t[3] = hn::MulAdd(odd_b, g[1], even_b);
    t[4] = hn::NegMulAdd(odd_b, g[1], even_b);
    t[5] = g[2];
  }
};
// A^T: 6 points to 4 pixels of y.
struct ToOutput {
  static constexpr int kFrom = 6, kTo = 4;
  static HWY_INLINE void apply(const Vec (&m)[6], Vec (&y)[4]) {
    const Vec even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]);
    const Vec even_b = hn::Add(m[3], m[4]), odd_b = hn::Sub(m[3], m[4]);
    y[0] = hn::Add(m[0], hn::Add(even_a, even_b));
    y[1] = hn::MulAdd(set(kB), odd_b, hn::Mul(set(kA), odd_a));
    y[2] = hn::MulAdd(set(kB2), even_b, hn::Mul(set(kA2), even_a));
    y[3] = hn::MulAdd(set(kB3), odd_b, hn::MulAdd(set(kA3), odd_a, m[5]));
  }
};
// A: the gradients of 4 pixels of y to 6 points.
struct OfOutputGradient {
  static constexpr int kFrom = 4, kTo = 6;
  static HWY_INLINE void apply(const Vec (&e)[4], Vec (&t)[6]) {
    const Vec even_a = hn::MulAdd(set(kA2), e[2], e[0]), even_b = hn::MulAdd(set(kB2), e[2], e[0]);
    const Vec odd_a = hn::MulAdd(set(kA3), e[3], hn::Mul(set(kA), e[1]));
    const Vec odd_b = hn::MulAdd(set(kB3), e[3], hn::Mul(set(kB), e[1]));
    t[0] = e[0];
    t[1] = hn::Add(even_a, odd_a);
    t[2] = hn::Sub(even_a, odd_a);
    t[3] = hn::Add(even_b, odd_b);
    t[4] = hn::Sub(even_b, odd_b);
    t[5] = e[3];
  }
};
// G^T: 6 points to the gradients of 3 weights.
struct ToWeightGradient {
  static constexpr int kFrom = 6, kTo = 3;
  static HWY_INLINE void apply(const Vec (&m)[6], Vec (&w)[3]) {
    const Vec even_a = hn::Add(m[1], m[2]), odd_a = hn::Sub(m[1], m[2]);
    const Vec even_b = hn::Add(m[3], m[4]), odd_b = hn::Sub(m[3], m[4]);
    w[0] = hn::MulAdd(set(kG0), m[0], hn::MulAdd(set(kGA), even_a, hn::Mul(set(kGB), even_b)));
    w[1] = hn::MulAdd(set(kGA * kA), odd_a, hn::Mul(set(kGB * kB), odd_b));
    w[2] = hn::MulAdd(set(kGA * kA2), even_a, hn::MulAdd(set(kGB * kB2), even_b, m[5]));
  }
};

// A transform in both directions of a square: read(i, j) gives what is in its row i and column j, write(i, j, value) takes
// what comes out.
template <class Transform, class Read, class Write>
HWY_INLINE void transform_square(Read read, Write write) {
  constexpr int kFrom = Transform::kFrom, kTo = Transform::kTo;
  Vec half[kTo][kFrom];
#pragma GCC unroll 6
  for (int j = 0; j < kFrom; ++j) {
    Vec column[kFrom], transformed[kTo];
#pragma GCC unroll 6
    for (int i = 0; i < kFrom; ++i) column[i] = read(i, j);
    Transform::apply(column, transformed);
#pragma GCC unroll 6
    for (int i = 0; i < kTo; ++i) half[i][j] = transformed[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < kTo; ++i) {
    Vec transformed[kTo];
    Transform::apply(half[i], transformed);
#pragma GCC unroll 6
    for (int j = 0; j < kTo; ++j) write(i, j, transformed[j]);
  }
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
