#pragma once
// A parameter that a module made (nn/init.h) is unlisted until a walk over modules names it or an optimizer is given it.
// One that gets its gradient in the same backward as an optimizer's parameters, and is unlisted then, is most likely a
// line that a visit() lacks: it would never be trained. The optimizer's step asks here, and reports it.
#include <cstdint>
#include <span>

#include "reprise/core/tensor.h"

namespace reprise {

void mark_unlisted(const Tensor& parameter);
void mark_listed(const Tensor& parameter);

// A walk of backward begins on this thread: the gradients set from here on are its.
void begin_gradient_walk();
// Called where a leaf gets a gradient, outside dry runs: leaf.gradient_walk becomes this thread's walk.
void note_gradient(TensorImpl& leaf);
// An unlisted leaf is gone.
void forget_unlisted(TensorImpl& leaf) noexcept;

// An unlisted leaf whose gradient came in one of these walks; undefined if there is none.
Tensor find_unlisted(std::span<const std::uint64_t> walks);

}  // namespace reprise
