#pragma once
// What every file of kernels is made with: launching, and elements as they are stored and computed with.
//
// A kernel computes in f32 on f32, bf16 and f16, and in f64 on f64. Its results depend on shapes
// alone: no atomics, sums in a fixed order.
// Kernels get their shared memory from shared_memory() and no other way, so that the emulator of the tests can watch it.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/with_word.h"
#include "reprise/cuda/check.h"
#include "reprise/cuda/context.h"

namespace reprise::cuda {

inline constexpr unsigned kThreads = 256;  // of a block, where nothing else is said
inline constexpr int kWarp = 32;

// Starts kernel<<<grid, block, shared_bytes>>>(arguments...) in the stream. DeviceError, with the kernel's name, where it
// cannot be started; what goes wrong while it runs shows at a later synchronization (context.h).
template <class... Parameters, class... Arguments>
void launch(const char* name, const Context& context, std::int64_t grid, unsigned block,
            std::size_t shared_bytes, void (*kernel)(Parameters...), const Arguments&... arguments) {
  if (grid == 0) return;
#ifdef REPRISE_CUDA_EMULATED
  check(emulator::launch_kernel(
            name, {dim3(static_cast<unsigned>(grid)), dim3(block), shared_bytes, context.stream}, kernel,
            static_cast<Parameters>(arguments)...),
        name);
#else
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(grid));
  config.blockDim = dim3(block);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = context.stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
#endif
  finish(context, name);
}

inline std::int64_t divide_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit; }

// One thread for each of `count` items: a kernel begins with `const std::int64_t i = thread_number(); if (i >= count) return;`.
template <class... Parameters, class... Arguments>
void launch_each(const char* name, const Context& context, std::int64_t count, void (*kernel)(Parameters...),
                 const Arguments&... arguments) {
  launch(name, context, divide_up(count, kThreads), kThreads, 0, kernel, arguments...);
}
__device__ inline std::int64_t thread_number() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// The block's shared memory, 16-byte aligned, of the bytes that the launch asked for.
template <class T>
__device__ T* shared_memory() {
#ifdef REPRISE_CUDA_EMULATED
  return reinterpret_cast<T*>(emulator::shared_bytes);
#else
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  return reinterpret_cast<T*>(shared_bytes);
#endif
}

// ---- elements

template <class T>
__device__ T widen(T x) {
  return x;
}
__device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float widen(__half x) { return __half2float(x); }

// What elements of a type are computed in: f32 for 16 bits, else themselves.
template <class T>
using Computed = decltype(widen(T{}));

template <class Stored, class T>
__device__ Stored narrow(T x) {
  if constexpr (std::is_same_v<Stored, __nv_bfloat16>)
    return __float2bfloat16_rn(static_cast<float>(x));
  else if constexpr (std::is_same_v<Stored, __half>)
    return __float2half_rn(static_cast<float>(x));
  else
    return static_cast<Stored>(x);
}

// Calls f with a value of the type that elements of a floating dtype (f32, bf16, f16) are stored in.
template <class F>
void with_floating(DType dtype, F f) {
  if (dtype == DType::bf16) return f(__nv_bfloat16{});
  if (dtype == DType::f16) return f(__half{});
  f(float{});
}
// ... or of f64.
template <class F>
void with_any_floating(DType dtype, F f) {
  if (dtype == DType::f64) return f(double{});
  with_floating(dtype, f);
}
// ... of any floating one, i32 or i64.
template <class F>
void with_number(DType dtype, F f) {
  if (dtype == DType::i32) return f(std::int32_t{});
  if (dtype == DType::i64) return f(std::int64_t{});
  with_any_floating(dtype, f);
}
// Floating elements whose dtype is looked at where they are read or written: statistics, weights of norms. C: what they are
// read in; f64 in f64 alone.
template <class C>
struct FloatsIn {
  const void* data = nullptr;
  DType dtype = DType::f32;
  FloatsIn() = default;
  FloatsIn(const ConstView& view) : data(view.data), dtype(view.info ? view.info->dtype : DType::f32) {}
  __device__ C operator[](std::int64_t i) const {
    if constexpr (std::is_same_v<C, double>)
      if (dtype == DType::f64) return static_cast<const double*>(data)[i];
    if (dtype == DType::bf16) return static_cast<C>(widen(static_cast<const __nv_bfloat16*>(data)[i]));
    if (dtype == DType::f16) return static_cast<C>(widen(static_cast<const __half*>(data)[i]));
    return static_cast<C>(static_cast<const float*>(data)[i]);
  }
  __device__ explicit operator bool() const { return data != nullptr; }
};
struct WritableFloats {
  void* data = nullptr;
  DType dtype = DType::f32;
  WritableFloats() = default;
  WritableFloats(const View& view) : data(view.data), dtype(view.info ? view.info->dtype : DType::f32) {}
  template <class T>
  __device__ void write(std::int64_t i, T x) const {
    if (dtype == DType::bf16)
      static_cast<__nv_bfloat16*>(data)[i] = narrow<__nv_bfloat16>(x);
    else if (dtype == DType::f16)
      static_cast<__half*>(data)[i] = narrow<__half>(x);
    else if (dtype == DType::f64)
      static_cast<double*>(data)[i] = static_cast<double>(x);
    else
      static_cast<float*>(data)[i] = static_cast<float>(x);
  }
  __device__ explicit operator bool() const { return data != nullptr; }
};

// ---- filling slots

template <class Args>
using Run = void (*)(const Args&, std::span<std::byte>);
template <class Args>
using WorkspaceBytes = std::size_t (*)(const Args&);

template <class Args>
void fill(KernelSlot<Args>& slot, std::initializer_list<DType> dtypes, Run<Args> run,
          WorkspaceBytes<Args> workspace = nullptr) {
  for (const DType dtype : dtypes) slot.fill(Device::CUDA, dtype, {run, workspace});
}
template <class Args>
void fill_floating(KernelSlot<Args>& slot, Run<Args> run, WorkspaceBytes<Args> workspace = nullptr) {
  fill(slot, {DType::f32, DType::bf16, DType::f16}, run, workspace);
}
template <class Args>
void fill_any_floating(KernelSlot<Args>& slot, Run<Args> run, WorkspaceBytes<Args> workspace = nullptr) {
  fill_floating(slot, run, workspace);
  fill(slot, {DType::f64}, run, workspace);
}
template <class Args>
void fill_numbers(KernelSlot<Args>& slot, Run<Args> run, WorkspaceBytes<Args> workspace = nullptr) {
  fill_any_floating(slot, run, workspace);
  fill(slot, {DType::i32, DType::i64}, run, workspace);
}
template <class Args>
void fill_every_dtype(KernelSlot<Args>& slot, Run<Args> run) {
  for (int i = 0; i < kDTypeCount; ++i) slot.fill(Device::CUDA, static_cast<DType>(i), {run, nullptr});
}

}  // namespace reprise::cuda
