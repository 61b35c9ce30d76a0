#pragma once
// Where the random numbers of a captured step begin in a launch of it: read on the device (philox.cuh).
#include "reprise/core/random.h"
#include "reprise/cuda/context.h"

namespace reprise::cuda {

// In the order of the stream; the host waits for nothing.
void write_random_begin(const Context& context, RandomAddress* device, RandomAddress begin);

}  // namespace reprise::cuda
