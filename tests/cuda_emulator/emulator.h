#pragma once
// Included before everything else in the backend's .cu files, which g++ then compiles as C++: the words of CUDA C++.
#include "reprise/tests/cuda_emulator/execution.h"

#undef __global__
#undef __device__
#undef __host__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

#define threadIdx (::reprise::emulator::position.thread)
#define blockIdx (::reprise::emulator::position.block)
#define blockDim (::reprise::emulator::position.block_size)
#define gridDim (::reprise::emulator::position.grid_size)

inline void __syncthreads() { reprise::emulator::synchronize_block(); }
inline void __syncwarp(unsigned mask = ~0U) {
  reprise::emulator::synchronize_warp(reprise::emulator::WarpOp::synchronize, mask, 0, 0);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
  return reprise::emulator::exchange(reprise::emulator::WarpOp::exchange_xor, mask, value, lanes);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes) {
  return reprise::emulator::exchange(reprise::emulator::WarpOp::exchange_down, mask, value,
                                     static_cast<int>(lanes));
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return reprise::emulator::exchange(reprise::emulator::WarpOp::exchange_index, mask, value, lane);
}
inline float atomicAdd(float* to, float value) { return reprise::emulator::atomic_add(to, value); }
