#pragma once
// cat(parts, dim), cat(dim, a, b, ..): the parts one after the other along a dimension. Parts agree in dtype and in every other
// extent (UserError). stack: the same along a new dimension; equal shapes. Both take their parts by value, as every op does. A
// part that is moved in goes at once. split(x, size, dim): parts of `size` along a dimension, the last one smaller if the
// size does not divide. Parts along the leading dimension are views, others copies. Every dtype.
// Gradients: the parts of g. Nothing is saved.
#include "reprise/autograd/op.h"

namespace reprise {

struct CatArgs {
  std::span<const ConstView> parts;
  View y;
  int dim;
};
extern KernelSlot<CatArgs> cat_slot;  // every dtype

Tensor cat(std::vector<Tensor> parts, int dim);
Tensor stack(std::vector<Tensor> parts, int dim);
template <std::same_as<Tensor>... Tensors>
Tensor cat(int dim, Tensors... parts) {
  return cat(tensors(std::move(parts)...), dim);
}
template <std::same_as<Tensor>... Tensors>
Tensor stack(int dim, Tensors... parts) {
  return stack(tensors(std::move(parts)...), dim);
}
std::vector<Tensor> split(Tensor x, std::int64_t size, int dim);

}  // namespace reprise
