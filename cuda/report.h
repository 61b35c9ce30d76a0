#pragma once
// What there is to compute with.
#include "reprise/core/cuda_plugin.h"

namespace reprise::cuda {

CudaReport report();

// UserError that says why device `index` cannot be used and what to do; returns where it can.
void require_usable(int index);

}  // namespace reprise::cuda
