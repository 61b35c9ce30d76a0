#pragma once
// permute(x, dims): dimension i of the result is dimension dims[i] of x. transpose(x, a, b): dimensions a and b change places.
// Copies, as tensors are contiguous; x itself where nothing moves. Every dtype. Negative dimensions count from the end. UserError
// when dims is no permutation. Gradient: g permuted back. Nothing is saved.
#include <array>

#include "reprise/autograd/op.h"

namespace reprise {

struct PermuteArgs {
  ConstView x;
  View y;
  std::array<int, Shape::kMaxRank> dims;  // dimension i of y is dimension dims[i] of x
};
extern KernelSlot<PermuteArgs> permute_slot;  // every dtype

Tensor permute(Tensor x, Dims dims);
Tensor transpose(Tensor x, int a, int b);

}  // namespace reprise
