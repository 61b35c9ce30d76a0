#pragma once
// Work in the order of its stream, run when somebody waits for it or at once.
#include <cuda_runtime_api.h>

#include <functional>
#include <string>

#include "reprise/tests/cuda_emulator/control.h"

namespace reprise::emulator {

const Settings& settings();

// `work` returns cudaSuccess or the error that ends everything, as on a GPU: later calls answer with it too.
void submit(cudaStream_t stream, std::function<cudaError_t()> work);
cudaError_t wait(cudaStream_t stream);
cudaError_t sticky_error();

// Describes the fault that a kernel is about to return.
void set_fault(std::string text);

}  // namespace reprise::emulator
