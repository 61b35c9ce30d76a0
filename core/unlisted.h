#pragma once
// A parameter that a module made (nn/init.h) is unlisted until a walk over modules names it or an optimizer is given it.
// One that gets its gradient in the same backward as an optimizer's parameters, and is unlisted then, is most likely a
// line that a visit() lacks: it would never be trained. The optimizer's step asks here, and reports it.
#include <cstdint>
#include <memory>
#include <span>

#include "reprise/core/tensor.h"

namespace reprise {

void mark_unlisted(const Tensor& parameter);
void mark_listed(const Tensor& parameter);

// A walk of backward over a tape begins on this thread: the gradients set from here on are its. `tape` is any address that
// stands for the tape, the same one as for note_unmet_call.
void begin_gradient_walk(const void* tape);
// Called where a leaf gets a gradient, outside dry runs: leaf.gradient_walk becomes this thread's walk.
void note_gradient(TensorImpl& leaf);
// An unlisted leaf is gone.
void forget_unlisted(TensorImpl& leaf) noexcept;

// An unlisted leaf whose gradient came in one of these walks; undefined if there is none.
Tensor find_unlisted(std::span<const std::uint64_t> walks);

// Notes a call in training mode, recorded by this thread's tape `tape`, of a module that no walk over modules has met. Neither
// train() nor eval() reaches such a module. Returns the call's number, never 0; a module gives it again at its next call.
std::uint64_t note_unmet_call(const char* layer, std::shared_ptr<const void> tape, std::uint64_t number);
// A walk has met that module after all.
void forget_unmet_call(std::uint64_t number);
// The layer of a call noted on this thread that one of these walks of backward went through, or null. It is forgotten.
const char* take_unmet_call(std::span<const std::uint64_t> walks);

}  // namespace reprise
