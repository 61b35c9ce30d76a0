#pragma once
// 3x3 convolutions of stride 1 by Winograd's method F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural
// Networks, 2016): y is cut into tiles of 4x4 pixels, each of which needs 6x6 pixels of x. With these and the weights
// transformed, a tile takes 36 multiplications for a pair of channels instead of 144, and all tiles of a point together
// are a product of matrices. Everything is computed in f32, from images and weights in f32 or bf16 as they lie.
#include <cstddef>
#include <span>

#include "reprise/cpu/convolution.h"

namespace reprise::cpu {

// Follows from the shapes, and in bf16 from the machine. Errors are about four times as large as without. They are relative
// to the largest pixel that a tile reads, also for pixels that do not see it. A pixel of 1e4 (1e5) among pixels of size 1
// leaves errors of 3e-3 (2e-2) in the rest of its tile. NaN or infinity reaches all pixels of the tiles that read it.
// Pixels of 3e38 overflow in all pixels of their tiles.
bool uses_winograd(const Convolution& convolution);

std::size_t winograd_workspace(const Convolution& convolution);  // bytes

// One for each pass of the convolution that the other two are asked about. The bias and its gradient are null where there is
// none; gradients of weight and bias are f32.
void winograd_forward(const Convolution& convolution, const void* x, const void* weight, const void* bias,
                      void* y, std::span<std::byte> workspace);
void winograd_backward_input(const Convolution& convolution, const void* dy, const void* weight, void* dx,
                             std::span<std::byte> workspace);
void winograd_backward_weight(const Convolution& convolution, const void* dy, const void* x, float* dweight,
                              float* dbias, std::span<std::byte> workspace);

}  // namespace reprise::cpu
