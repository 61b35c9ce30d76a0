#pragma once
// One CUDA device as the backend uses it: a stream, and a pool of memory in the order of that stream.
#include <cuda_runtime_api.h>

#include "reprise/core/device.h"
#include "reprise/core/random.h"

namespace reprise::cuda {

// While a step is captured: kernels that draw random numbers read on the device where those of a launch begin (philox.cuh).
struct CapturedRandom {
  RandomAddress begin;                    // where those of the captured step do
  const RandomAddress* device = nullptr;  // where those of a launch do
};

struct Context {
  int index = 0;
  // Kernels and copies, in the order in which they were asked for; copies beside them have their own (services.cpp).
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
  // Every launch, product, cuDNN graph and copy is waited for, so that an error belongs to what caused it: for looking for
  // faults, when the environment variable REPRISE_CUDA_SYNCHRONIZE is 1.
  bool synchronize_launches = false;
  const CapturedRandom* captured_random = nullptr;  // null: no step is being captured
};

// In that mode waits for the stream: DeviceError with what has just been asked for.
void finish(const Context& context, const char* what);

// The context of a device, made at its first use, and the calling thread's current device from here on. UserError for a
// device that cannot be used.
Context& use(Device device);

// The device's services, which core calls (core/device.h).
DeviceServices& services(int index);

}  // namespace reprise::cuda
