#pragma once
// Loops of the element-wise kernels: f is a function object of widened elements, run on the device.
#include "reprise/cuda/kernel.cuh"
#include "reprise/cuda/strided.cuh"
#include "reprise/ops/elementwise.h"

namespace reprise::cuda {

template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T values[N];
};

template <int N, class R, class F, class... T>
__device__ Vector<R, N> map_vector(F f, const Vector<T, N>... x) {
  Vector<R, N> y;
  for (int k = 0; k < N; ++k) y.values[k] = narrow<R>(f(widen(x.values[k])...));
  return y;
}

// The first `vectors` threads take N elements each, the others one of what is left.
template <int N, class F, class R, class... T>
__global__ void map_elements(std::int64_t vectors, std::int64_t count, F f, R* y, const T*... x) {
  const std::int64_t thread = thread_number();
  if (thread < vectors) {
    reinterpret_cast<Vector<R, N>*>(y)[thread] =
        map_vector<N, R>(f, reinterpret_cast<const Vector<T, N>*>(x)[thread]...);
    return;
  }
  const std::int64_t i = vectors * N + (thread - vectors);
  if (i < count) y[i] = narrow<R>(f(widen(x[i])...));
}

// y[i] = f(x[i]...), in loads of 16 bytes where all operands begin at such a boundary. y may be one of x.
template <class F, class R, class... T>
void map(const char* name, const View& y_view, F f, R* y, const T*... x) {
  constexpr int kWidth = 16 / static_cast<int>(std::max({sizeof(R), sizeof(T)...}));
  const auto address = (reinterpret_cast<std::uintptr_t>(y) | ... | reinterpret_cast<std::uintptr_t>(x));
  const std::int64_t count = y_view.info->shape.numel();
  const std::int64_t vectors = address % 16 == 0 ? count / kWidth : 0;
  launch_each(name, use(y_view.info->device), vectors + (count - vectors * kWidth),
              map_elements<kWidth, F, R, T...>, vectors, count, f, y, x...);
}

// The same for each floating dtype.
template <class F>
void map_floating(const char* name, const ConstView& x, const View& y, F f) {
  with_any_floating(x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map(name, y, f, y.as<T>(), x.as<T>());
  });
}
template <class F>
void map_number(const char* name, const ConstView& x, const View& y, F f) {
  with_number(x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map(name, y, f, y.as<T>(), x.as<T>());
  });
}
template <class F>
void map_gradient(const char* name, const GradientArgs& args, F f) {
  with_any_floating(args.dx.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map(name, args.dx, f, args.dx.as<T>(), args.gradient.as<T>(), args.saved.as<T>());
  });
}

template <class F, class R, class T>
__global__ void map_strided(std::int64_t count, Walk<2> walk, F f, R* y, const T* a, const T* b) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  std::int64_t at[2];
  walk.places(i, at);
  y[i] = narrow<R>(f(widen(a[at[0]]), widen(b[at[1]])));
}

// y = f(a, b), broadcasting.
template <class R, class T, class F>
void map_broadcast(const char* name, const BinaryArgs& args, F f) {
  const Shape& shape = args.y.info->shape;
  if (args.a.info->shape == shape && args.b.info->shape == shape)
    return map(name, args.y, f, args.y.as<R>(), args.a.as<T>(), args.b.as<T>());
  const Walk<2> walk(
      shape, {broadcast_strides(args.a.info->shape, shape), broadcast_strides(args.b.info->shape, shape)});
  launch_each(name, use(args.y.info->device), shape.numel(), map_strided<F, R, T>, shape.numel(), walk, f,
              args.y.as<R>(), args.a.as<T>(), args.b.as<T>());
}

}  // namespace reprise::cuda
