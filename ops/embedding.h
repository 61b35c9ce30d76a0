#pragma once
// embedding: rows of w by their numbers. ids i64 [..], in [0, vocabulary) (UserError naming the place), w
// [vocabulary, width], y [.., width]. Saves ids. Gradient: embedding_backward, which has one of its own.
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/tensor.h"

namespace reprise {

Tensor embedding(Tensor ids, Tensor w);

// dw[id] = sum of dy over the places of id, in their order; 0 for rows that no place reads. ids [..],
// dy [.., width].
Tensor embedding_backward(Tensor dy, Tensor ids, std::int64_t vocabulary);

// By w's dtype (dy's in the gradient). ids have been checked.
struct EmbeddingArgs {
  ConstView ids, w;
  View y;
};
struct EmbeddingBackwardArgs {
  ConstView dy, ids;
  View dw;
};
extern KernelSlot<EmbeddingArgs> embedding_slot;
extern KernelSlot<EmbeddingBackwardArgs> embedding_backward_slot;

}  // namespace reprise
