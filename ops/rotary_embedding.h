#pragma once
// rotary_embedding: turns each pair (x[2i], x[2i + 1]) of a head at position p by the angle p base^(-2i / head_dim), so that
// the product of a query and a key depends on how far they are apart (Su et al., "RoFormer", 2021; pairs of neighbours, as
// there).
//
// x [batch, sequence, heads, head_dim] floating, head_dim even, y as x. Saves nothing: the gradient is turned back, by the
// same op.
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

struct RotaryEmbeddingOptions {
  double base = 10000.0;
  std::int64_t first = 0;  // the position of the first of the sequence
};
Tensor rotary_embedding(Tensor x, RotaryEmbeddingOptions options = {});

struct RotaryEmbeddingArgs {
  ConstView x;
  RotaryEmbeddingOptions options;
  bool back;  // by the negative angles
  View y;
};
extern KernelSlot<RotaryEmbeddingArgs> rotary_embedding_slot;

}  // namespace reprise
