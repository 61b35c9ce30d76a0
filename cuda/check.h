#pragma once
// Errors of CUDA's libraries as DeviceError: the call, the code and its text.
#include <cuda_runtime_api.h>

namespace reprise::cuda {

// Throws DeviceError "cudaMallocAsync: error 719: unspecified launch failure".
void check(cudaError_t error, const char* call);

}  // namespace reprise::cuda
