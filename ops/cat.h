#pragma once
// cat(parts, dim): the parts one after the other along a dimension; they agree in dtype and in every other extent (UserError).
// stack(parts, dim): the same along a new dimension; equal shapes. split(x, size, dim): parts of `size` along a dimension, the
// last one smaller where it does not divide; views where dim is the leading dimension, copies elsewhere. Every dtype.
// Gradients: the parts of g. Nothing is saved.
#include "reprise/autograd/op.h"

namespace reprise {

struct CatArgs {
  std::span<const ConstView> parts;
  View y;
  int dim;
};
extern KernelSlot<CatArgs> cat_slot;  // every dtype

Tensor cat(std::span<const Tensor> parts, int dim);
Tensor stack(std::span<const Tensor> parts, int dim);
std::vector<Tensor> split(Tensor x, std::int64_t size, int dim);

}  // namespace reprise
