#pragma once
// Between core's own files: what handles and storages tell a dry run. Internal to core.
#include <cstddef>

#include "reprise/core/ref.h"
#include "reprise/core/storage.h"

namespace reprise {

struct TensorImpl;

// A leaf's handle is gone: so is its gradient in this thread's dry run.
void forget_in_dry_run(TensorImpl& leaf) noexcept;

// Call before requires_grad of this leaf changes: the end of this thread's dry run undoes the change.
void note_requires_grad(TensorImpl& leaf);

// A dry storage whose bytes are in this thread's dry meter already (counted) or stay there (not counted).
Ref<Storage> make_dry_storage(std::size_t bytes, Device device, memory::Tag tag, bool counted);

}  // namespace reprise
