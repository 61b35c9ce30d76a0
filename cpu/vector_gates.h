// gelu and silu of vectors, and their derivatives: what their own kernels and those of gated units compute. Compiled once
// for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_GATES_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_GATES_H
#undef REPRISE_CPU_VECTOR_GATES_H
#else
#define REPRISE_CPU_VECTOR_GATES_H
#endif

#include "reprise/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// For values: minus infinity times a gate of 0 is to be 0.
HWY_INLINE Vec not_below_lowest(Vec x) { return hn::Max(set(-3.40282347e38F), x); }
// For derivatives: beyond 30 they are 0 or 1, and their formulas overflow further out.
HWY_INLINE Vec near_zero(Vec x) { return bounded(x, -30, 30); }

struct ExactGelu {
  static HWY_INLINE Vec distribution(Vec x) {
    return hn::MulAdd(erf(hn::Mul(x, set(0.707106781F))), set(0.5F), set(0.5F));
  }
  static HWY_INLINE Vec value(Vec x) { return hn::Mul(not_below_lowest(x), distribution(x)); }
  static HWY_INLINE Vec derivative(Vec v) {
    const Vec x = near_zero(v);
    const Vec density = hn::Mul(exp(hn::Mul(hn::Mul(x, x), set(-0.5F))), set(0.39894228F));
    return hn::MulAdd(x, density, distribution(x));
  }
};

// (1 + tanh(u)) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
struct TanhGelu {
  static constexpr float kRootOf2OverPi = 0.797884561F, kCubic = 0.044715F;
  static HWY_INLINE Vec distribution(Vec x) {
    const Vec slope = hn::MulAdd(hn::Mul(x, x), set(2 * kRootOf2OverPi * kCubic), set(2 * kRootOf2OverPi));
    return sigmoid(hn::Mul(x, slope));
  }
  static HWY_INLINE Vec value(Vec x) { return hn::Mul(not_below_lowest(x), distribution(x)); }
  static HWY_INLINE Vec derivative(Vec v) {
    const Vec x = near_zero(v);
    const Vec s = distribution(x);
    const Vec slope =
        hn::MulAdd(hn::Mul(x, x), set(6 * kRootOf2OverPi * kCubic), set(2 * kRootOf2OverPi));  // of 2 u
    return hn::MulAdd(hn::Mul(x, hn::Mul(s, hn::Sub(set(1), s))), slope, s);
  }
};

struct Silu {
  static HWY_INLINE Vec value(Vec x) { return hn::Mul(not_below_lowest(x), sigmoid(x)); }
  static HWY_INLINE Vec derivative(Vec v) {
    const Vec x = bounded(v, -200, 200);
    const Vec s = sigmoid(x);
    return hn::MulAdd(hn::Mul(x, s), hn::Sub(set(1), s), s);
  }
};

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
