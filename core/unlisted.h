#pragma once
// A parameter that a module made (nn/init.h) is unlisted until a module's visit() names it or an optimizer is given it.
// One that gets a gradient while unlisted is most likely a line that visit() lacks: it would never be trained. The
// gradients' place to land notes it here, and the next optimizer step on this thread reports it.
#include "reprise/core/tensor.h"

namespace reprise {

void mark_unlisted(const Tensor& parameter);
void mark_listed(const Tensor& parameter);

// Called where a leaf gets a gradient; outside dry runs.
void note_if_unlisted(TensorImpl& leaf);
// An unlisted leaf that was noted on this thread and has its gradient still; undefined if there is none. Notes of
// others are forgotten.
Tensor take_unlisted_with_gradient();

}  // namespace reprise
