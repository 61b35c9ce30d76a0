// add, sub, mul, div, neg and their forms with a number; the sum of two gradients. Vectorized for operands of equal
// shapes, and where one operand is repeated along the leading dimensions; other broadcasts go to the plain loops.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/arithmetic.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <algorithm>

#include "reprise/autograd/intrinsics.h"
#include "reprise/core/parallel.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/add.h"
#include "reprise/ops/div.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/neg.h"
#include "reprise/ops/sub.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kGrain = 16384;  // elements worth a thread

template <class F>
void unary(const ConstView& x, const View& y, F f) {
  with_element(x.info->dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(y.info->shape.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(x.as<T>() + begin, y.as<T>() + begin, end - begin, f);
    });
  });
}

// Does `part` end with all of the dimensions of `whole` in which it has any, so that it repeats along the others?
inline bool repeats_along_leading(const Shape& part, const Shape& whole) {
  const auto inner = part.extents(), all = whole.extents();
  if (inner.size() > all.size()) return false;
  std::size_t ones = 0;  // leading extents of 1
  while (ones < inner.size() && inner[ones] == 1) ++ones;
  return std::equal(inner.begin() + static_cast<std::ptrdiff_t>(ones), inner.end(),
                    all.end() - static_cast<std::ptrdiff_t>(inner.size() - ones));
}

template <class T, class F>
void binary_of(const BinaryArgs& args, const KernelSlot<BinaryArgs>& slot, std::span<std::byte> workspace,
               F f) {
  const Shape &shape = args.y.info->shape, &a_shape = args.a.info->shape, &b_shape = args.b.info->shape;
  const T *a = args.a.as<T>(), *b = args.b.as<T>();
  T* y = args.y.as<T>();
  const std::int64_t count = shape.numel(), a_count = a_shape.numel(), b_count = b_shape.numel();
  if (a_count == count && b_count == count) {
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(a + begin, b + begin, y + begin, end - begin, f);
    });
  } else if (b_count == 1) {
    const Vec value = set(as_float(*b));
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(a + begin, y + begin, end - begin, [&](Vec x) HWY_ATTR { return f(x, value); });
    });
  } else if (a_count == 1) {
    const Vec value = set(as_float(*a));
    parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(b + begin, y + begin, end - begin, [&](Vec x) HWY_ATTR { return f(value, x); });
    });
  } else if (a_count == count && repeats_along_leading(b_shape, shape)) {
    parallel_for(count / b_count, kGrain / b_count + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = begin * b_count; i < end * b_count; i += b_count)
        map(a + i, b, y + i, b_count, f);
    });
  } else if (b_count == count && repeats_along_leading(a_shape, shape)) {
    parallel_for(count / a_count, kGrain / a_count + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = begin * a_count; i < end * a_count; i += a_count)
        map(a, b + i, y + i, a_count, f);
    });
  } else {
    run_plain(slot, args, workspace, dtype_of<T>);
  }
}
template <class F>
void binary(const BinaryArgs& args, const KernelSlot<BinaryArgs>& slot, std::span<std::byte> workspace, F f) {
  with_element(args.y.info->dtype,
               [&](auto element) { binary_of<decltype(element)>(args, slot, workspace, f); });
}

void add(const BinaryArgs& args, std::span<std::byte> workspace) {
  binary(args, add_slot, workspace, [](Vec a, Vec b) HWY_ATTR { return hn::Add(a, b); });
}
void sub(const BinaryArgs& args, std::span<std::byte> workspace) {
  binary(args, sub_slot, workspace, [](Vec a, Vec b) HWY_ATTR { return hn::Sub(a, b); });
}
void mul(const BinaryArgs& args, std::span<std::byte> workspace) {
  binary(args, mul_slot, workspace, [](Vec a, Vec b) HWY_ATTR { return hn::Mul(a, b); });
}
void div(const BinaryArgs& args, std::span<std::byte> workspace) {
  binary(args, div_slot, workspace, [](Vec a, Vec b) HWY_ATTR { return hn::Div(a, b); });
}

void neg(const UnaryArgs& args, std::span<std::byte>) {
  unary(args.x, args.y, [](Vec x) HWY_ATTR { return hn::Neg(x); });
}

void add_scalar(const ScalarArgs& args, std::span<std::byte>) {
  const Vec value = set(static_cast<float>(args.value));
  unary(args.x, args.y, [&](Vec x) HWY_ATTR { return hn::Add(x, value); });
}
void rsub(const ScalarArgs& args, std::span<std::byte>) {
  const Vec value = set(static_cast<float>(args.value));
  unary(args.x, args.y, [&](Vec x) HWY_ATTR { return hn::Sub(value, x); });
}
void mul_scalar(const ScalarArgs& args, std::span<std::byte>) {
  const Vec value = set(static_cast<float>(args.value));
  unary(args.x, args.y, [&](Vec x) HWY_ATTR { return hn::Mul(x, value); });
}
void div_scalar(const ScalarArgs& args, std::span<std::byte>) {
  const Vec value = set(static_cast<float>(args.value));
  unary(args.x, args.y, [&](Vec x) HWY_ATTR { return hn::Div(x, value); });
}
void rdiv(const ScalarArgs& args, std::span<std::byte>) {
  const Vec value = set(static_cast<float>(args.value));
  unary(args.x, args.y, [&](Vec x) HWY_ATTR { return hn::Div(value, x); });
}

void add_same(const AddSameArgs& args, std::span<std::byte>) {
  with_element(args.y.info->dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(args.y.info->shape.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(args.a.as<T>() + begin, args.b.as<T>() + begin, args.y.as<T>() + begin, end - begin,
          [](Vec a, Vec b) HWY_ATTR { return hn::Add(a, b); });
    });
  });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(add);
HWY_EXPORT(sub);
HWY_EXPORT(mul);
HWY_EXPORT(div);
HWY_EXPORT(neg);
HWY_EXPORT(add_scalar);
HWY_EXPORT(rsub);
HWY_EXPORT(mul_scalar);
HWY_EXPORT(div_scalar);
HWY_EXPORT(rdiv);
HWY_EXPORT(add_same);

void fill_fast_arithmetic() {
  fill_both(add_slot, HWY_DYNAMIC_DISPATCH(add));
  fill_both(sub_slot, HWY_DYNAMIC_DISPATCH(sub));
  fill_both(mul_slot, HWY_DYNAMIC_DISPATCH(mul));
  fill_both(div_slot, HWY_DYNAMIC_DISPATCH(div));
  fill_both(neg_slot, HWY_DYNAMIC_DISPATCH(neg));
  fill_both(add_scalar_slot, HWY_DYNAMIC_DISPATCH(add_scalar));
  fill_both(rsub_slot, HWY_DYNAMIC_DISPATCH(rsub));
  fill_both(mul_scalar_slot, HWY_DYNAMIC_DISPATCH(mul_scalar));
  fill_both(div_scalar_slot, HWY_DYNAMIC_DISPATCH(div_scalar));
  fill_both(rdiv_slot, HWY_DYNAMIC_DISPATCH(rdiv));
  fill_both(add_same_slot, HWY_DYNAMIC_DISPATCH(add_same));
}

}  // namespace reprise::cpu
#endif
