#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "reprise/core/error.h"
#include "reprise/core/meter.h"
#include "reprise/cuda/check.h"
#include "reprise/cuda/context.h"
#include "reprise/cuda/report.h"
#include "reprise/cuda/services.h"

namespace reprise::cuda {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
  throw DeviceError(
      fmt::format("{}: error {}: {}", call, static_cast<int>(error), cudaGetErrorString(error)));
}

namespace {

// A captured step that asks for other memory than its warm-up.
constexpr const char* kOtherMemory =
    "the step asks for other memory under capture than in its warm-up; a captured step does the same each "
    "time. If it makes "
    "things at its first call, call it once before";

// None: the host's memory.
std::optional<int> device_of(const void* data) {
  cudaPointerAttributes attributes = {};
  check(cudaPointerGetAttributes(&attributes, data), "cudaPointerGetAttributes");
  if (attributes.type != cudaMemoryTypeDevice) return {};
  return attributes.device;
}

// Made once each and never destroyed: static tensors may outlive them otherwise.
CudaServices& of(int index) {
  static std::mutex mutex;
  static std::array<CudaServices*, memory::Meters::kMaxCudaDevices> made = {};
  if (index < 0 || index >= static_cast<int>(made.size())) {
    require_usable(index);
    throw UserError(fmt::format("cuda:{}: Reprise uses the first {} CUDA devices only", index, made.size()));
  }
  const std::lock_guard lock(mutex);
  CudaServices*& services = made[static_cast<std::size_t>(index)];
  if (!services) services = new CudaServices(index);
  return *services;
}

}  // namespace

CudaServices::CudaServices(int index) {
  require_usable(index);
  context_.index = index;
  check(cudaSetDevice(index), "cudaSetDevice");
  check(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  check(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  check(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  pinned_.emplace(copies_, PinnedMemory::Keep::within_most_used);
  check(cudaDeviceGetDefaultMemPool(&context_.pool, index), "cudaDeviceGetDefaultMemPool");
  const char* synchronize = std::getenv("REPRISE_CUDA_SYNCHRONIZE");
  context_.synchronize_launches = synchronize && std::strcmp(synchronize, "1") == 0;
  keep_cached(SIZE_MAX);
}

void CudaServices::select() const {
  const std::thread::id thread = capturing_thread_;
  if (thread != std::thread::id() && thread != std::this_thread::get_id())
    refuse("another thread captures a CUDA graph on it; use the device when that is done");
  check(cudaSetDevice(context_.index), "cudaSetDevice");
}

void* CudaServices::from_pool(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMallocAsync(&data, bytes, context_.stream);
  if (error == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory(fmt::format("cudaMallocAsync: no {} bytes", bytes));
  }
  check(error, "cudaMallocAsync");
  return data;
}

void* CudaServices::allocate(std::size_t bytes) {
  select();
  if (!captured_memory_) return from_pool(bytes);
  const std::lock_guard lock(mutex_);
  if (is_capturing()) {
    if (void* data = captured_memory_->allocate(bytes)) return data;
    refuse(kOtherMemory);
  }
  void* data = from_pool(bytes);
  captured_memory_->count(data, bytes);
  return data;
}

void CudaServices::release(void* data, std::size_t) noexcept {
  if (cudaSetDevice(context_.index) != cudaSuccess) return;
  const std::lock_guard lock(mutex_);
  if (is_capturing() && graph_memory_of(data) != captured_memory_)
    captured_memory_->kept.push_back(data);
  else
    release_now(data);
}

void CudaServices::release_now(void* data) noexcept {
  const bool leaving = leaving_.erase(data) > 0;
  if (GraphMemory* memory = graph_memory_of(data)) {
    if (leaving) static_cast<void>(wait_for(copies_, context_.stream));
    memory->release(data);
    return drop_unused_graph_memory();
  }
  if (captured_memory_) captured_memory_->count_release(data);
  if (leaving && wait_for(context_.stream, copies_) != cudaSuccess) return;
  static_cast<void>(cudaFreeAsync(data, leaving ? copies_ : context_.stream));
}

std::size_t CudaServices::reserved() const {
  std::uint64_t bytes = 0;
  check(cudaMemPoolGetAttribute(context_.pool, cudaMemPoolAttrReservedMemCurrent, &bytes),
        "cudaMemPoolGetAttribute");
  return bytes;
}

void CudaServices::trim(std::size_t target) {
  synchronize();  // released blocks are given back once the stream has passed them
  check(cudaMemPoolTrimTo(context_.pool, target), "cudaMemPoolTrimTo");
}

void CudaServices::set_limit(std::size_t bytes) {
  keep_cached(bytes);
  if (reserved() > bytes) trim(bytes);
}

// Host memory is ours again when this returns, whichever way the copy goes.
void CudaServices::copy(void* to, const void* from, std::size_t bytes) {
  select();
  const std::optional<int> target = device_of(to), source = device_of(from);
  if (target && source && *target != *source) return copy_from(of(*source), to, from, bytes);
  if (is_capturing() && !target)
    refuse(fmt::format(
        "{} bytes are to be read by the host in a step that is captured, where nothing has run yet; "
        "read them after CUDAGraph::replay()",
        bytes));
  if (is_capturing() && !source)
    refuse(fmt::format(
        "{} bytes of the host are to be copied in a step that is captured, which a replay would not "
        "do again; make the tensor before the step, and copy_into it before a replay",
        bytes));
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, context_.stream), "cudaMemcpyAsync");
  if (!target || !source) check(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
}

void* CudaServices::allocate_host(std::size_t bytes) {
  select();
  const std::lock_guard lock(mutex_);
  if (is_capturing() && !captured_memory_->pinned.keeps(bytes)) refuse(kOtherMemory);
  return (captured_memory_ ? captured_memory_->pinned : *pinned_).allocate(bytes);
}

void CudaServices::release_host(void* host, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& memory : graph_memories_)
    if (memory->pinned.owns(host)) {
      memory->pinned.release(host, bytes);
      return drop_unused_graph_memory();
    }
  pinned_->release(host, bytes);
}

void CudaServices::copy_out(void* host, const void* data, std::size_t bytes) {
  select();
  const std::lock_guard lock(mutex_);
  leaving_.insert(data);
  copies_captured_ = is_capturing();
  check(wait_for(context_.stream, copies_), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(host, data, bytes, cudaMemcpyDeviceToHost, copies_), "cudaMemcpyAsync");
  if (context_.synchronize_launches && !is_capturing())
    check(cudaStreamSynchronize(copies_), "a copy to the host");
}

void CudaServices::copy_in(void* data, const void* host, std::size_t bytes) {
  select();
  const std::lock_guard lock(mutex_);
  if (is_capturing() && !captured_memory_->pinned.owns(host))
    refuse(
        "a value that was offloaded before is to come back in a step that is captured; open the tape in the "
        "step");
  copies_captured_ = is_capturing();
  check(wait_for(context_.stream, copies_), "cudaStreamWaitEvent");
  check(cudaMemcpyAsync(data, host, bytes, cudaMemcpyHostToDevice, copies_), "cudaMemcpyAsync");
  check(wait_for(copies_, context_.stream), "cudaStreamWaitEvent");
  finish(context_, "a copy from the host");
}

void CudaServices::synchronize() {
  select();
  if (is_capturing())
    refuse(
        "the host is to wait for the device in a step that is captured, where nothing runs yet; wait after "
        "CUDAGraph::replay()");
  check(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
  check(cudaStreamSynchronize(copies_), "cudaStreamSynchronize");
}

// Up to so many bytes stay with the pool at a synchronization.
void CudaServices::keep_cached(std::size_t bytes) const {
  std::uint64_t threshold = bytes;
  check(cudaMemPoolSetAttribute(context_.pool, cudaMemPoolAttrReleaseThreshold, &threshold),
        "cudaMemPoolSetAttribute");
}

// What is asked of `second` from here on waits for what has been asked of `first`. A wait is for the event as it was
// recorded last, so one event serves all.
cudaError_t CudaServices::wait_for(cudaStream_t first, cudaStream_t second) const noexcept {
  const cudaError_t error = cudaEventRecord(reached_, first);
  return error == cudaSuccess ? cudaStreamWaitEvent(second, reached_, 0) : error;
}

// Ours waits until the other device has made the bytes, and that one's later work, which may release them, until they
// are copied. An event belongs to the device of the stream that it is recorded in.
void CudaServices::copy_from(CudaServices& other, void* to, const void* from, std::size_t bytes) {
  for (const CudaServices* device : {this, &other})
    if (device->is_capturing())
      device->refuse(
          fmt::format("{} bytes are to be copied between devices in a step that is captured; a graph is of "
                      "one device",
                      bytes));
  {
    const std::lock_guard lock(other.mutex_);
    check(other.wait_for(other.context_.stream, context_.stream), "cudaStreamWaitEvent");
  }
  check(cudaMemcpyPeerAsync(to, context_.index, from, other.context_.index, bytes, context_.stream),
        "cudaMemcpyPeerAsync");
  const std::lock_guard lock(mutex_);
  check(wait_for(context_.stream, other.context_.stream), "cudaStreamWaitEvent");
}

void CudaServices::refuse(std::string_view what) const {
  throw CaptureError(fmt::format("cuda:{}: {}", context_.index, what));
}

void finish(const Context& context, const char* what) {
  if (context.synchronize_launches && !context.captured_random)
    check(cudaStreamSynchronize(context.stream), what);
}

DeviceServices& services(int index) { return of(index); }

Context& use(Device device) {
  CudaServices& services = of(device.index);
  services.select();
  return services.context();
}

}  // namespace reprise::cuda
