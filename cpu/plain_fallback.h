#pragma once
// What a fast kernel calls for the arguments that it has nothing fast for.
#include "reprise/core/kernel_slot.h"

namespace reprise::cpu {

template <class Args>
std::size_t plain_workspace(const KernelSlot<Args>& slot, const Args& args) {
  const Kernel<Args>& plain = slot.plain(DType::f32);
  return plain.workspace ? plain.workspace(args) : 0;
}

template <class Args>
void run_plain(const KernelSlot<Args>& slot, const Args& args, std::span<std::byte> workspace) {
  slot.plain(DType::f32).run(args, workspace);
}

}  // namespace reprise::cpu
