#include "reprise/cuda/random_begin.h"

#include "reprise/cuda/kernel.cuh"

namespace reprise::cuda {
namespace {

__global__ void write_address(RandomAddress begin, RandomAddress* device) { *device = begin; }

}  // namespace

void write_random_begin(const Context& context, RandomAddress* device, RandomAddress begin) {
  launch("random_begin", context, 1, 1, 0, write_address, begin, device);
}

}  // namespace reprise::cuda
