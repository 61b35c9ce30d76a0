#pragma once
// Kernels that write parameters in place, for the optimizers: not ops, and never on a tape. Each is called once for all
// parameters of one device and dtype, so that it can share the work of many small tensors among threads.
#include <span>

#include "reprise/core/kernel_slot.h"

namespace reprise {

template <class UpdateArgs>
struct UpdateListArgs {
  std::span<const UpdateArgs> updates;
};

}  // namespace reprise
