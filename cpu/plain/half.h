#pragma once
// bf16 and f16: how kernels written for f32 compute on 16-bit elements. What is read becomes f32, what is written is
// rounded to nearest even, and all that happens in between is f32 (or double).
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "reprise/core/kernel_slot.h"

namespace reprise::cpu {

// An element as it is computed with, and as it is stored.
template <class T>
T widen(T x) {
  return x;
}
inline float widen(BFloat16 x) { return to_float(x); }
inline float widen(Float16 x) { return to_float(x); }
template <class Stored, class T>
Stored narrow(T x) {
  if constexpr (std::is_same_v<Stored, BFloat16>)
    return to_bfloat16(x);
  else if constexpr (std::is_same_v<Stored, Float16>)
    return to_float16(x);
  else
    return static_cast<Stored>(x);
}

// Calls f with a value of the type that elements of `dtype` are stored in, for a kernel that computes in T.
template <class T, class F>
void with_stored(DType dtype, F f) {
  if constexpr (std::is_same_v<T, float>) {
    if (dtype == DType::bf16) return f(BFloat16{});
    if (dtype == DType::f16) return f(Float16{});
  }
  f(T{});
}

// The kernel in f32 asks for the dtype of what it reads and writes (with_stored) and is that of bf16 and f16 too.
template <class Args>
void fill_half(KernelSlot<Args>& slot) {
  slot.fill_plain(DType::bf16, slot.plain(DType::f32));
  slot.fill_plain(DType::f16, slot.plain(DType::f32));
}

// The kernel in f32 knows floats only: operands of 16 bits are copied into f32 in the workspace, and results of 16 bits
// rounded from there. The other operands (statistics, weights of norms, indices) it gets as they are.
template <class Args, class Operand>
bool is_copied(const Args& args, Operand Args::*operand) {
  return (args.*operand).info && is_half((args.*operand).info->dtype);
}
template <class Args, class Operand>
std::size_t copy_bytes(const Args& args, Operand Args::*operand) {
  constexpr std::size_t kAlignment = 64;
  if (!is_copied(args, operand)) return 0;
  const auto bytes = static_cast<std::size_t>((args.*operand).info->shape.numel()) * sizeof(float);
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

template <class Args, const KernelSlot<Args>& slot, auto... operands>
struct Widened {
  static std::size_t workspace(const Args& args) {
    const Kernel<Args>& kernel = slot.plain(DType::f32);
    return (copy_bytes(args, operands) + ... + (kernel.workspace ? kernel.workspace(args) : 0));
  }

  static void run(const Args& args, std::span<std::byte> workspace) {
    Args widened = args;
    std::array<ValueInfo, sizeof...(operands)> infos;
    std::size_t next = 0;
    const auto widen_operand = [&](auto operand) {
      auto& view = widened.*operand;
      if (!is_copied(args, operand)) return;
      ValueInfo& info = infos[next++];
      info = *view.info;
      info.dtype = DType::f32;
      auto* copy = reinterpret_cast<float*>(workspace.data());
      if constexpr (std::is_same_v<decltype(view), ConstView&>)
        convert(view.data, view.info->dtype, copy, DType::f32, info.shape.numel());
      workspace = workspace.subspan(copy_bytes(args, operand));
      view = {copy, &info};
    };
    const auto round_result = [&](auto operand) {
      using Operand = std::remove_cvref_t<decltype(args.*operand)>;
      if constexpr (std::is_same_v<Operand, View>) {
        const View &from = widened.*operand, &to = args.*operand;
        if (is_copied(args, operand))
          convert(from.data, DType::f32, to.data, to.info->dtype, to.info->shape.numel());
      }
    };
    (widen_operand(operands), ...);
    slot.plain(DType::f32).run(widened, workspace);
    (round_result(operands), ...);
  }
};

template <class Operand, class Args>
Args args_of(Operand Args::*);

// For bf16 and f16, after the kernel in f32 is there; `operands` are the floating ones.
template <auto& slot, auto first, auto... operands>
void fill_widened() {
  using Args = decltype(args_of(first));
  using Kernels = Widened<Args, slot, first, operands...>;
  for (const DType dtype : {DType::bf16, DType::f16})
    slot.fill_plain(dtype, {Kernels::run, Kernels::workspace});
}

}  // namespace reprise::cpu
