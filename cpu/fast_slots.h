#pragma once
// The lists of the fast kernels, one a file, for f32 and bf16; for what they lack there is cpu/plain.
#include "reprise/core/kernel_slot.h"

namespace reprise::cpu {

void fill_fast_activations();
void fill_fast_arithmetic();
void fill_fast_attention();
void fill_attention_of_pairs();  // where there are pair products
void fill_fast_batch_norm();
void fill_fast_cast();
void fill_fast_conv2d();
void fill_fast_cross_entropy();
void fill_fast_dropout();
void fill_fast_glu();
void fill_fast_layer_norm();
void fill_fast_linear();
void fill_fast_linear_cross_entropy();
void fill_fast_matmul();
void fill_fast_max_pool2d();
void fill_fast_rms_norm();
void fill_fast_softmax();
void fill_fast_sum();
void fill_fast_updates();

template <class Args>
void fill(KernelSlot<Args>& slot, void (*run)(const Args&, std::span<std::byte>),
          std::size_t (*workspace)(const Args&) = nullptr) {
  slot.fill(Device::CPU, DType::f32, {run, workspace});
}
// For f32 and bf16: a kernel that reads the dtype itself.
template <class Args>
void fill_both(KernelSlot<Args>& slot, void (*run)(const Args&, std::span<std::byte>),
               std::size_t (*workspace)(const Args&) = nullptr) {
  fill(slot, run, workspace);
  slot.fill(Device::CPU, DType::bf16, {run, workspace});
}

}  // namespace reprise::cpu
