#pragma once
// Runs kernels on the CPU: a block at a time, each CUDA thread on a fiber of its own.
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>

namespace reprise::emulator {

// Of the thread that runs now: threadIdx, blockIdx, blockDim, gridDim.
struct Position {
  uint3 thread;
  uint3 block;
  dim3 block_size;
  dim3 grid_size;
};
extern Position position;

// The block's shared memory: NaN at its beginning, and a page that nobody may touch behind it.
extern std::byte* shared_bytes;

enum class WarpOp { exchange_xor, exchange_down, exchange_index, ballot, synchronize };
void synchronize_block();
std::uint64_t synchronize_warp(WarpOp op, unsigned mask, std::uint64_t value, int argument);

float atomic_add(float* to, float value);

template <class T>
T exchange(WarpOp op, unsigned mask, T value, int argument) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = synchronize_warp(op, mask, bits, argument);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// What a launch asks for.
struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

// False for a pointer argument to memory of the host, or of another device than the stream's.
bool is_device_pointer(const void* data, cudaStream_t stream);
template <class T>
bool is_valid_argument(const T& argument, cudaStream_t stream) {
  if constexpr (std::is_pointer_v<T>) return !argument || is_device_pointer(argument, stream);
  return true;
}

extern std::int64_t launches;

// Queues the kernel, or answers as CUDA does where the launch cannot be.
cudaError_t launch(const char* name, const Launch& asked, std::function<void()> body);

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const char* name, const Launch& asked, void (*kernel)(Parameters...),
                          const Arguments&... arguments) {
  if (!(is_valid_argument<Parameters>(arguments, asked.stream) && ...)) return cudaErrorIllegalAddress;
  return launch(name, asked,
                [kernel, values = std::tuple<Parameters...>(arguments...)] { std::apply(kernel, values); });
}

}  // namespace reprise::emulator
