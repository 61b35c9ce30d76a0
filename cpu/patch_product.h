#pragma once
// The gradient of a strided convolution's weight as a product of matrices (Chellapilla et al., High Performance Convolutional
// Neural Networks for Document Processing, 2006): dweight [out, patch] = dy^T [out, pixel] patches [pixel, patch]. A patch is
// what an output pixel sees of x, as a filter lies in the weight, [kernel_h, kernel_w, in], zero beyond the borders. Patches
// are copied for some images at a time, so that their bytes are bounded, and the products are added up.
#include <cstddef>
#include <span>

#include "reprise/cpu/convolution.h"

namespace reprise::cpu {

// Follows from the shapes and the machine. In bf16, where its products are the processor's own; in f32, and for the other
// passes, oneDNN's convolutions are faster than the copies.
bool uses_patches(const Convolution& convolution);

std::size_t patch_workspace(const Convolution& convolution);  // bytes

// dy and x in bf16.
void patch_backward_weight(const Convolution& convolution, const void* dy, const void* x, float* dweight,
                           std::span<std::byte> workspace);

}  // namespace reprise::cpu
