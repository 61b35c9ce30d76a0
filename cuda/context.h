#pragma once
// One CUDA device as the backend uses it: a stream, and a pool of memory in the order of that stream.
#include <cuda_runtime_api.h>

#include "reprise/core/device.h"

namespace reprise::cuda {

struct Context {
  int index = 0;
  cudaStream_t stream = nullptr;  // all kernels and copies, in the order in which they were asked for
  cudaMemPool_t pool = nullptr;
  // Every launch is waited for, so that an error belongs to the kernel that caused it: for looking for faults, when the
  // environment variable REPRISE_CUDA_SYNCHRONIZE is 1.
  bool synchronize_launches = false;
};

// The context of a device, made at its first use, and the calling thread's current device from here on. UserError for a
// device that cannot be used.
Context& use(Device device);

// The device's services, which core calls (core/device.h).
DeviceServices& services(int index);

}  // namespace reprise::cuda
