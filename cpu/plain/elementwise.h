#pragma once
// The loops of the element-wise kernels. `f` is applied to each element, in the type T; where T is float the elements may
// be stored in 16 bits (half.h).
#include <cstddef>
#include <cstdint>
#include <span>

#include "reprise/core/with_word.h"
#include "reprise/cpu/plain/half.h"
#include "reprise/cpu/strided_loop.h"
#include "reprise/ops/elementwise.h"

namespace reprise::cpu {

template <class Args>
using Run = void (*)(const Args&, std::span<std::byte>);

// One kernel, compiled for the floating types.
template <class Args>
void fill_floating(KernelSlot<Args>& slot, Run<Args> f32, Run<Args> f64) {
  slot.fill_plain(DType::f32, {f32});
  slot.fill_plain(DType::f64, {f64});
}
// ... one that is made of the loops below, and computes on bf16 and f16 too.
template <class Args>
void fill_any_floating(KernelSlot<Args>& slot, Run<Args> f32, Run<Args> f64) {
  fill_floating(slot, f32, f64);
  fill_half(slot);
}
// ... and for the integers that are computed with.
template <class Args>
void fill_integers(KernelSlot<Args>& slot, Run<Args> i32, Run<Args> i64) {
  slot.fill_plain(DType::i32, {i32});
  slot.fill_plain(DType::i64, {i64});
}
// One kernel that reads the dtype itself.
template <class Args>
void fill_every_dtype(KernelSlot<Args>& slot, Run<Args> run) {
  for (int i = 0; i < kDTypeCount; ++i) slot.fill_plain(static_cast<DType>(i), {run});
}

// y[i] = f(x[i])
template <class T, class F>
void map(const ConstView& x_view, const View& y_view, F f) {
  with_stored<T>(x_view.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    const Stored* x = x_view.as<Stored>();
    Stored* y = y_view.as<Stored>();
    parallel_for(y_view.info->shape.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = narrow<Stored>(f(widen(x[i])));
    });
  });
}

// dx[i] = f(gradient[i], saved[i])
template <class T, class F>
void map(const GradientArgs& args, F f) {
  with_stored<T>(args.dx.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    const Stored* gradient = args.gradient.as<Stored>();
    const Stored* saved = args.saved.as<Stored>();
    Stored* dx = args.dx.as<Stored>();
    parallel_for(args.dx.info->shape.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        dx[i] = narrow<Stored>(f(widen(gradient[i]), widen(saved[i])));
    });
  });
}

// y = f(a, b), broadcasting, for elements of these types.
template <class Stored, class Result, class F>
void map_broadcast_stored(const BinaryArgs& args, F f) {
  const Shape& shape = args.y.info->shape;
  const Stored* a = args.a.as<Stored>();
  const Stored* b = args.b.as<Stored>();
  Result* y = args.y.as<Result>();
  const auto apply = [f](Stored p, Stored q) { return narrow<Result>(f(widen(p), widen(q))); };
  const std::int64_t count = shape.numel();
  if (args.a.info->shape == shape && args.b.info->shape == shape) {
    parallel_for(count, kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = apply(a[i], b[i]);
    });
    return;
  }
  const StridedLoop<2> loop(
      shape, {broadcast_strides(args.a.info->shape, shape), broadcast_strides(args.b.info->shape, shape)});
  if (loop.rows == 1) {  // one operand is a single element
    parallel_for(count, kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = apply(a[i * loop.step(0)], b[i * loop.step(1)]);
    });
    return;
  }
  loop.for_each_row([=](std::int64_t first, const std::array<std::int64_t, 2>& offsets) {
    const Stored* row_a = a + offsets[0];
    const Stored* row_b = b + offsets[1];
    for (std::int64_t i = 0; i < loop.length; ++i)
      y[first + i] = apply(row_a[i * loop.step(0)], row_b[i * loop.step(1)]);
  });
}
// The same computing in T; R is the type of y where it is not that of a and b.
template <class T, class R = T, class F>
void map_broadcast(const BinaryArgs& args, F f) {
  with_stored<T>(args.a.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    map_broadcast_stored<Stored, std::conditional_t<std::is_same_v<R, T>, Stored, R>>(args, f);
  });
}

}  // namespace reprise::cpu
