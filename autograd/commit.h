#pragma once
// What becomes of the gradients that a walk has found: added up in place where nobody else sees the buffer, and at the
// end given to the leaves.
#include <span>

#include "reprise/autograd/tape_state.h"
#include "reprise/core/tensor.h"

namespace reprise {

// Nobody else reads this tensor's buffer, and it is the whole of it.
bool sole_owner(const Tensor& t);

// to += more, into the same bytes; does not allocate.
void add_in_place(const Tensor& to, const Tensor& more);

// Adds a leaf's complete gradient to its .grad. Cannot fail if the gradient owns its buffer and no graph is created.
void commit_gradient(const Ref<TensorImpl>& leaf, Tensor gradient, bool create_graph);

// The same for all leaves that have one in `gradients` (per value of the tape): when it throws, no .grad has changed.
void commit_gradients(TapeState& tape, std::span<Tensor> gradients, bool create_graph);

}  // namespace reprise
