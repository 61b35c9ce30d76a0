// The functions of cudart that the backend calls. What there is to find is said by the environment variable
// EMULATED_CUDA: "no_driver", "old_driver", "no_device", "old_device"; else two devices.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "reprise/tests/cuda_emulator/memory.h"
#include "reprise/tests/cuda_emulator/streams.h"

using namespace reprise::emulator;

namespace {

constexpr int kDevices = 2;

std::string_view machine() {
  const char* text = std::getenv("EMULATED_CUDA");
  return text ? text : "";
}

bool on_device(const void* data) { return device_memory().has_address(data); }

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine() == "no_driver" ? 0 : machine() == "old_driver" ? 12080 : CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (machine() == "no_driver" || machine() == "old_driver") return cudaErrorInsufficientDriver;
  if (machine() == "no_device") return cudaErrorNoDevice;
  *count = kDevices;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  *properties = {};
  std::strcpy(properties->name, "Emulated GPU");
  properties->major = machine() == "old_device" ? 7 : 9;
  properties->totalGlobalMem = std::size_t{64} << 30;
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    default:
      return "an error of the emulator";
  }
}
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaSetDevice(int device) {
  return device >= 0 && device < kDevices ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  static std::uintptr_t last = 0;
  last += 16;
  *stream = reinterpret_cast<cudaStream_t>(last);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return wait(stream); }

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = reinterpret_cast<cudaMemPool_t>(static_cast<std::uintptr_t>(device + 1));
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value) {
  if (attribute != cudaMemPoolAttrReservedMemCurrent) return cudaErrorInvalidValue;
  const std::uint64_t bytes = device_memory().live();
  std::memcpy(value, &bytes, sizeof bytes);
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  *data = device_memory().allocate(bytes);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  submit(stream, [data] {
    if (device_memory().release(data)) return cudaSuccess;
    set_fault("memory was released that is not live, or something was written behind its end");
    return cudaErrorInvalidValue;
  });
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (kind != cudaMemcpyDefault) return cudaErrorInvalidValue;
  for (const void* data : {static_cast<const void*>(to), from})
    if (on_device(data) && !device_memory().contains(data, bytes)) return cudaErrorInvalidValue;
  submit(stream, [=] {
    std::memcpy(to, from, bytes);
    return cudaSuccess;
  });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (!device_memory().contains(to, bytes)) return cudaErrorInvalidValue;
  submit(stream, [=] {
    std::memset(to, value, bytes);
    return cudaSuccess;
  });
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  *attributes = {};
  attributes->type = on_device(data) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  return cudaSuccess;
}
}
