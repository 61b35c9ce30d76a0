// What the vectorized kernels share: loops over arrays, sums of lanes, exp, tanh, erf and sigmoid of f32. Arrays are of f32
// or of bf16, whose elements become f32 where they are read and are rounded where they are written. Compiled once for
// each instruction set (Highway's scheme, https://google.github.io/highway), so the guard is not #pragma once. Include it
// after hwy/foreach_target.h.
#if defined(REPRISE_CPU_VECTOR_MATH_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_MATH_H
#undef REPRISE_CPU_VECTOR_MATH_H
#else
#define REPRISE_CPU_VECTOR_MATH_H
#endif

#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "reprise/core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using Vec = hn::Vec<F32>;

// Lanes of a vector: 16 with AVX-512, 8 with AVX2.
HWY_INLINE std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(F32())); }
inline constexpr std::size_t kMaxLanes = HWY_MAX_BYTES / sizeof(float);

HWY_INLINE Vec load(const float* from) { return hn::LoadU(F32(), from); }
HWY_INLINE void store(Vec v, float* to) { hn::StoreU(v, F32(), to); }
HWY_INLINE Vec set(float value) { return hn::Set(F32(), value); }

// The first `count` lanes, fewer than a vector has; the others are `rest`. Nothing beyond them is touched.
#if HWY_TARGET == HWY_AVX3 || \
    HWY_TARGET == HWY_AVX2  // whose masked loads and stores touch no more than the mask says
HWY_INLINE Vec load_part(const float* from, std::int64_t count, float rest = 0) {
  const auto mask = hn::FirstN(F32(), static_cast<std::size_t>(count));
  const Vec v = hn::MaskedLoad(mask, F32(), from);
  return rest == 0 ? v : hn::IfThenElse(mask, v, set(rest));
}
HWY_INLINE void store_part(Vec v, float* to, std::int64_t count) {
  hn::BlendedStore(v, hn::FirstN(F32(), static_cast<std::size_t>(count)), F32(), to);
}
#else
HWY_INLINE Vec load_part(const float* from, std::int64_t count, float rest = 0) {
  HWY_ALIGN std::array<float, kMaxLanes> part;
  part.fill(rest);
  std::memcpy(part.data(), from, static_cast<std::size_t>(count) * sizeof(float));
  return hn::Load(F32(), part.data());
}
HWY_INLINE void store_part(Vec v, float* to, std::int64_t count) {
  HWY_ALIGN std::array<float, kMaxLanes> part;
  hn::Store(v, F32(), part.data());
  std::memcpy(to, part.data(), static_cast<std::size_t>(count) * sizeof(float));
}
#endif

using U16 = hn::Rebind<std::uint16_t, F32>;  // as many lanes, of half the size

HWY_INLINE Vec from_upper_half(hn::Vec<U16> bits) {
  const hn::RebindToUnsigned<F32> wide;
  return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(wide, bits)));
}
// As to_bfloat16, to nearest even, and a NaN stays one: in the lower halves.
HWY_INLINE hn::VFromD<hn::RebindToUnsigned<F32>> rounded_bits(Vec v) {
  const hn::RebindToUnsigned<F32> wide;
  const auto bits = hn::BitCast(wide, v);
  const auto last = hn::And(hn::ShiftRight<16>(bits), hn::Set(wide, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(hn::Set(wide, 0x7FFF), last)));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(wide, 0x0040));
  return hn::IfThenElse(hn::RebindMask(wide, hn::IsNaN(v)), quiet, rounded);
}
HWY_INLINE hn::Vec<U16> rounded_upper_half(Vec v) {
  return hn::DemoteTo(U16(), hn::BitCast(hn::RebindToSigned<F32>(), rounded_bits(v)));
}

HWY_INLINE const std::uint16_t* bits_of(const BFloat16* x) {
  return reinterpret_cast<const std::uint16_t*>(x);
}
HWY_INLINE std::uint16_t* bits_of(BFloat16* x) { return reinterpret_cast<std::uint16_t*>(x); }

HWY_INLINE Vec load(const BFloat16* from) { return from_upper_half(hn::LoadU(U16(), bits_of(from))); }
HWY_INLINE void store(Vec v, BFloat16* to) { hn::StoreU(rounded_upper_half(v), U16(), bits_of(to)); }
HWY_INLINE Vec load_part(const BFloat16* from, std::int64_t count, float rest = 0) {
  HWY_ALIGN std::array<std::uint16_t, kMaxLanes> part = {};
  std::memcpy(part.data(), from, static_cast<std::size_t>(count) * sizeof(BFloat16));
  const Vec v = from_upper_half(hn::Load(U16(), part.data()));
  return rest == 0 ? v : hn::IfThenElse(hn::FirstN(F32(), static_cast<std::size_t>(count)), v, set(rest));
}
HWY_INLINE void store_part(Vec v, BFloat16* to, std::int64_t count) {
  HWY_ALIGN std::array<std::uint16_t, kMaxLanes> part;
  hn::Store(rounded_upper_half(v), U16(), part.data());
  std::memcpy(to, part.data(), static_cast<std::size_t>(count) * sizeof(BFloat16));
}

// Stores past the caches, to an address that is a multiple of the vector's bytes. Whoever does it calls
// hwy::FlushStream() before another thread may read.
HWY_INLINE void store_past_caches(Vec v, float* to) { hn::Stream(v, F32(), to); }
HWY_INLINE void store_past_caches(Vec v, BFloat16* to) {
  hn::Stream(rounded_upper_half(v), U16(), bits_of(to));
}

// Whether a result of `rows` rows of `columns` is better stored past the caches, which could not hold it until it is read:
// a store through a cache reads the line first. Rows must then be whole vectors.
template <class T>
HWY_INLINE bool goes_past_caches(const T* to, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kBytes = std::int64_t{8} << 20;
  const auto size = static_cast<std::int64_t>(sizeof(T));
  return rows * columns * size >= kBytes && columns % lanes() == 0 &&
         reinterpret_cast<std::uintptr_t>(to) % HWY_MAX_BYTES == 0;
}

// Reads (and writes) whole vectors, or the lanes that are left at the end.
struct WholeVectors {
  template <class T>
  HWY_INLINE Vec operator()(const T* from) const {
    return load(from);
  }
  template <class T>
  HWY_INLINE void write(Vec v, T* to) const {
    store(v, to);
  }
  template <class T>
  HWY_INLINE void write_past_caches(Vec v, T* to) const {
    store_past_caches(v, to);
  }
};
struct LastLanes {
  std::int64_t count;
  template <class T>
  HWY_INLINE Vec operator()(const T* from) const {
    return load_part(from, count);
  }
  template <class T>
  HWY_INLINE void write(Vec v, T* to) const {
    store_part(v, to, count);
  }
  template <class T>
  HWY_INLINE void write_past_caches(Vec v, T* to) const {
    write(v, to);
  }
};

// Calls f with an element of this dtype, f32 or bf16.
template <class F>
HWY_INLINE void with_element(DType dtype, F f) {
  if (dtype == DType::bf16)
    f(BFloat16{});
  else
    f(float{});
}
HWY_INLINE float as_float(float x) { return x; }
HWY_INLINE float as_float(BFloat16 x) { return to_float(x); }

// Calls f(i, read) for vectors at i = 0, lanes, 2 lanes, ... of count elements, and for the lanes that are left.
template <class F>
HWY_INLINE void for_places(std::int64_t count, F f) {
  const std::int64_t n = lanes();
  std::int64_t i = 0;
  for (; i + n <= count; i += n) f(i, WholeVectors());
  if (i < count) f(i, LastLanes{count - i});
}

// y[i] = f(i, read) for vectors at i = 0, lanes, 2 lanes, ... of count elements; f reads its operands with `read`. The
// last elements, fewer than a vector, go through the same f, so that an element's bits do not depend on its place. y may
// be an operand.
template <class T, class F>
HWY_INLINE void map_places(T* y, std::int64_t count, F f) {
  for_places(count, [=](std::int64_t i, auto read) HWY_ATTR { read.write(f(i, read), y + i); });
}
// The same, stored past the caches: y is a multiple of a vector's bytes, and count of its lanes.
template <class T, class F>
HWY_INLINE void map_places_past_caches(T* y, std::int64_t count, F f) {
  for_places(count, [=](std::int64_t i, auto read) HWY_ATTR { read.write_past_caches(f(i, read), y + i); });
}
// y[i] = f(x[i]), and y[i] = f(a[i], b[i])
template <class X, class Y, class F>
HWY_INLINE void map(const X* x, Y* y, std::int64_t count, F f) {
  map_places(y, count, [=](std::int64_t i, auto read) HWY_ATTR { return f(read(x + i)); });
}
template <class A, class B, class Y, class F>
HWY_INLINE void map(const A* a, const B* b, Y* y, std::int64_t count, F f) {
  map_places(y, count, [=](std::int64_t i, auto read) HWY_ATTR { return f(read(a + i), read(b + i)); });
}

HWY_INLINE float sum_of_lanes(Vec v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }
HWY_INLINE float max_of_lanes(Vec v) { return hn::GetLane(hn::MaxOfLanes(F32(), v)); }

// The sum of v's lanes in double, added to `total`.
HWY_INLINE void add_lanes(Vec v, double& total) {
  HWY_ALIGN std::array<float, kMaxLanes> all;
  hn::Store(v, F32(), all.data());
  for (std::int64_t i = 0; i < lanes(); ++i) total += static_cast<double>(all[static_cast<std::size_t>(i)]);
}

// NaN stays NaN; above 88.7 infinity.
HWY_INLINE Vec exp(Vec x) {
  const F32 d;
  return hn::IfThenElse(hn::Eq(x, x), hn::Exp(d, hn::Min(x, set(89.0F))), x);
}

// c[0] + c[1] u + c[2] u^2 + ...
template <std::size_t N>
HWY_INLINE Vec polynomial(Vec u, const std::array<float, N>& c) {
  Vec result = set(c[N - 1]);
  for (std::size_t i = N - 1; i-- > 0;) result = hn::MulAdd(result, u, set(c[i]));
  return result;
}

// exp(x) = 2^n exp(r) for x from -87 to 88. Relative error below 2e-7; NaN stays. Added to 1.5 * 2^23, a number is rounded
// to an integer, which then stands in the sum's lowest bits.
HWY_INLINE Vec exp_within_range(Vec x) {
  const hn::RebindToSigned<F32> integers;
  const Vec shifter = set(12582912.0F), shifted = hn::MulAdd(x, set(1.44269504F), shifter);
  const Vec n = hn::Sub(shifted, shifter);
  const Vec r = hn::NegMulAdd(n, set(-2.12194440e-4F), hn::NegMulAdd(n, set(0.693359375F), x));
  constexpr std::array p = {1.0F, 1.0F, 0.5F, 0.166666667F, 0.0416664853F, 0.00833336077F, 0.00139304355F};
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::BitCast(integers, shifted), hn::Set(integers, 127)));
  return hn::Mul(polynomial(r, p), hn::BitCast(F32(), power));
}

// 1 / x for x from 1 to 1e38. Relative error below 2e-7; NaN stays.
HWY_INLINE Vec reciprocal(Vec x) {
#if HWY_TARGET == \
    HWY_AVX3  // whose estimate has 14 bits; a division takes longer than all the rest of a sigmoid
  const Vec estimate = hn::ApproximateReciprocal(x);
  return hn::MulAdd(hn::NegMulAdd(x, estimate, set(1)), estimate, estimate);  // a step of Newton's
#else
  return hn::Div(set(1), x);
#endif
}

// x between two bounds. NaN stays: it does in Min and Max as the second operand.
HWY_INLINE Vec bounded(Vec x, float low, float high) { return hn::Max(set(low), hn::Min(set(high), x)); }

// 0 below -87, where the value is less than 1.7e-38: a product with any finite number is then small, too.
HWY_INLINE Vec sigmoid(Vec x) {
  const Vec positive = reciprocal(hn::Add(set(1), exp_within_range(bounded(hn::Neg(x), -87, 87))));
  return hn::IfThenZeroElse(hn::Lt(x, set(-87)), positive);
}

// x P(x^2) / Q(x^2) if |x| <= last, and 1 with the sign of x beyond: an odd function that rises to 1. Rounding in the
// quotient never takes the result past 1. The coefficients below come from tools/fit_functions.py.
template <std::size_t P, std::size_t Q>
HWY_INLINE Vec odd_rational(Vec x, float last, const std::array<float, P>& p, const std::array<float, Q>& q) {
  // An operand that is NaN must come out: Min and Max would drop it.
  const Vec inside = hn::IfThenElse(hn::Gt(hn::Abs(x), set(last)), hn::CopySign(set(last), x), x);
  const Vec u = hn::Mul(inside, inside);
  const Vec quotient = hn::Div(hn::Mul(inside, polynomial(u, p)), polynomial(u, q));
  // Beyond `last`, the fit is less than 1 by a rounding error, which a large factor would show.
  const auto levels_off = hn::Or(hn::Gt(hn::Abs(x), set(last)), hn::Gt(hn::Abs(quotient), set(1)));
  return hn::IfThenElse(levels_off, hn::CopySign(set(1), x), quotient);
}

// Relative error below 4e-7.
HWY_INLINE Vec tanh(Vec x) {
  constexpr std::array p = {0.999999977F, 0.133744753F, 0.0034878112F, 2.04811897e-05F, 1.31775274e-08F};
  constexpr std::array q = {1.0F, 0.467077891F, 0.0258473891F, 0.000327292046F, 7.70404799e-07F};
  return odd_rational(x, 9.1F, p, q);
}

// Relative error below 4e-7.
HWY_INLINE Vec erf(Vec x) {
  constexpr std::array p = {1.12837917F,     0.185168826F,    0.0542747837F,   0.0038433671F,
                            0.000377938667F, 4.64048769e-06F, -1.29673136e-08F};
  constexpr std::array q = {1.0F, 0.497435008F, 0.113910946F, 0.0154437175F, 0.00130406433F, 6.26930115e-05F};
  return odd_rational(x, 3.95F, p, q);
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
