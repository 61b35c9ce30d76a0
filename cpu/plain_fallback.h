#pragma once
// What a fast kernel calls for the arguments that it has nothing fast for.
#include <algorithm>
#include <initializer_list>

#include "reprise/core/kernel_slot.h"

namespace reprise::cpu {

// Are these f32, as the fast kernels read weights and statistics of norms?
inline bool are_f32(std::initializer_list<ConstView> operands) {
  return std::all_of(operands.begin(), operands.end(),
                     [](const ConstView& operand) { return operand.info->dtype == DType::f32; });
}

template <class Args>
std::size_t plain_workspace(const KernelSlot<Args>& slot, const Args& args, DType dtype = DType::f32) {
  const Kernel<Args>& plain = slot.plain(dtype);
  return plain.workspace ? plain.workspace(args) : 0;
}

template <class Args>
void run_plain(const KernelSlot<Args>& slot, const Args& args, std::span<std::byte> workspace,
               DType dtype = DType::f32) {
  slot.plain(dtype).run(args, workspace);
}

}  // namespace reprise::cpu
