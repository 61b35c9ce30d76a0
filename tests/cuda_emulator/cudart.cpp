// The functions of cudart that the backend calls. What there is to find is said by the environment variable
// EMULATED_CUDA: "no_driver", "old_driver", "no_device", "old_device"; else two devices.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "reprise/tests/cuda_emulator/cudnn_object.h"
#include "reprise/tests/cuda_emulator/execution.h"
#include "reprise/tests/cuda_emulator/graphs.h"
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

// Of emulated memory: inside a live allocation. The host's other memory is not known.
bool may_touch(const void* data, std::size_t bytes) {
  for (const GuardedMemory* memory : {&device_memory(), &page_locked_memory()})
    if (memory->has_address(data)) return memory->contains(data, bytes);
  return true;
}

bool is_pageable(const void* data) { return !on_device(data) && !page_locked_memory().has_address(data); }

bool may_copy(void* to, const void* from, std::size_t bytes) {
  return may_touch(to, bytes) && may_touch(from, bytes);
}

// In the order of the stream. What is asked for is checked by the caller; it may have changed when the copy runs.
cudaError_t submit_copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  submit(stream, [=] {
    if (!may_copy(to, from, bytes)) {
      set_fault("a copy touches memory that was released before it ran");
      return cudaErrorIllegalAddress;
    }
    const std::optional<int> source = device_memory().device_of(from);
    if (source) device_memory().open(*source);
    std::memcpy(to, from, bytes);
    if (source) device_memory().close(*source);
    return cudaSuccess;
  });
  return cudaSuccess;
}

struct Event {
  int device;
  std::shared_ptr<Mark> mark;  // of the last record
};

std::int64_t page_locked_allocations = 0, synchronizations = 0;

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
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnjoined:
      return "capturing stream has unjoined work";
    case cudaErrorStreamCaptureIsolation:
      return "dependency created on uncaptured work in another stream";
    default:
      return "an error of the emulator";
  }
}
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  set_current_device(device);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = make_stream(current_device());
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (capture_of(stream)) return refuse_in_capture(stream);
  ++synchronizations;
  return wait(stream);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(new Event{current_device(), nullptr});
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  auto& recorded = *reinterpret_cast<Event*>(event);
  if (recorded.device != device_of(stream)) return cudaErrorInvalidResourceHandle;
  if (is_capture_invalid(stream)) return cudaErrorStreamCaptureInvalidated;
  recorded.mark = mark(stream);
  return sticky_error();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::shared_ptr<Mark>& recorded = reinterpret_cast<Event*>(event)->mark;
  if (!recorded) return sticky_error();  // one that was never recorded does not hold anybody up
  if (const cudaError_t error = let_wait(stream, *recorded); error != cudaSuccess) return error;
  wait_for_mark(stream, recorded);
  return sticky_error();
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  *pool = reinterpret_cast<cudaMemPool_t>(static_cast<std::uintptr_t>(device + 1));
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  if (attribute != cudaMemPoolAttrReservedMemCurrent) return cudaErrorInvalidValue;
  const std::uint64_t bytes =
      device_memory().live(static_cast<int>(reinterpret_cast<std::uintptr_t>(pool)) - 1);
  std::memcpy(value, &bytes, sizeof bytes);
  return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t stream) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (capture_of(stream))
    return refuse_in_capture(
        stream);  // CUDA would make a node of the graph, which the backend has no use for
  *data = device_memory().allocate(bytes, device_of(stream));
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  if (capture_of(stream)) return refuse_in_capture(stream);
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
  if (kind == cudaMemcpyDeviceToHost && (on_device(to) || !on_device(from))) return cudaErrorInvalidValue;
  if (kind == cudaMemcpyHostToDevice && (!on_device(to) || on_device(from))) return cudaErrorInvalidValue;
  if (!may_copy(to, from, bytes)) return cudaErrorInvalidValue;
  // A graph would read and write the host's memory when it is launched: it must be there then.
  if (capture_of(stream) && (is_pageable(to) || is_pageable(from))) return refuse_in_capture(stream);
  if (is_capture_invalid(stream)) return cudaErrorStreamCaptureInvalidated;
  // Work in a stream has its own device's memory and the host's.
  for (const void* data : {static_cast<const void*>(to), from})
    if (on_device(data) && device_memory().device_of(data) != device_of(stream)) return cudaErrorInvalidValue;
  return submit_copy(to, from, bytes, stream);
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes,
                                cudaStream_t stream) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (capture_of(stream)) return refuse_in_capture(stream);
  if (!may_copy(to, from, bytes) || device_memory().device_of(to) != to_device ||
      device_memory().device_of(from) != from_device)
    return cudaErrorInvalidValue;
  return submit_copy(to, from, bytes, stream);
}

cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (const cudaError_t error = refuse_unsafe_call(); error != cudaSuccess) return error;
  const auto room =
      settings().most_page_locked_bytes - static_cast<std::int64_t>(page_locked_memory().live());
  if (static_cast<std::int64_t>(bytes) > room) return cudaErrorMemoryAllocation;
  ++page_locked_allocations;
  *data = page_locked_memory().allocate(bytes);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* data) {
  if (const cudaError_t error = refuse_unsafe_call(); error != cudaSuccess) return error;
  return page_locked_memory().release(data) ? sticky_error() : cudaErrorInvalidValue;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (!device_memory().contains(to, bytes)) return cudaErrorInvalidValue;
  if (is_capture_invalid(stream)) return cudaErrorStreamCaptureInvalidated;
  submit(stream, [=] {
    std::memset(to, value, bytes);
    return cudaSuccess;
  });
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  *attributes = {};
  attributes->type = on_device(data) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = device_memory().device_of(data).value_or(0);
  return cudaSuccess;
}

void reprise_emulator_statistics(Statistics* to) {
  *to = {.launches = launches,
         .live_bytes = static_cast<std::int64_t>(device_memory().live()),
         .peak_bytes = static_cast<std::int64_t>(device_memory().peak()),
         .cudnn_plans = cudnn_plans,
         .cudnn_runs = cudnn_runs,
         .page_locked_allocations = page_locked_allocations,
         .page_locked_bytes = static_cast<std::int64_t>(page_locked_memory().live()),
         .synchronizations = synchronizations,
         .waiting_work = waiting_work(),
         .graphs = graphs,
         .graph_launches = graph_launches};
}
}
