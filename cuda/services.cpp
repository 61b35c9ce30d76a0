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
#include "reprise/cuda/pinned_memory.h"
#include "reprise/cuda/report.h"

namespace reprise::cuda {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
  throw DeviceError(
      fmt::format("{}: error {}: {}", call, static_cast<int>(error), cudaGetErrorString(error)));
}

namespace {

class CudaServices;
CudaServices& of(int index);

// Memory from CUDA's own pool, in the order of the stream: what a kernel still reads may be released behind it.
//
// Copies out of the device for a while, and back, have a stream of their own, so that kernels run beside them. Events order
// the two streams, and the host waits for nothing: a copy out begins when what was asked for before it is done; a buffer that
// is being copied out is released in the order of the copies, and once the kernels that were asked for before have read it; a
// copy back begins when its buffer is free, and what is asked for after it waits for it.
class CudaServices final : public DeviceServices {
 public:
  explicit CudaServices(int index) {
    require_usable(index);
    context_.index = index;
    check(cudaSetDevice(index), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaEventCreateWithFlags(&reached_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    pinned_.emplace(copies_);
    check(cudaDeviceGetDefaultMemPool(&context_.pool, index), "cudaDeviceGetDefaultMemPool");
    const char* synchronize = std::getenv("REPRISE_CUDA_SYNCHRONIZE");
    context_.synchronize_launches = synchronize && std::strcmp(synchronize, "1") == 0;
    keep_cached(SIZE_MAX);
  }

  void* allocate(std::size_t bytes) override {
    select();
    void* data = nullptr;
    cudaError_t error = cudaMallocAsync(&data, bytes, context_.stream);
    if (error == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      throw OutOfMemory(fmt::format("cudaMallocAsync: no {} bytes", bytes));
    }
    check(error, "cudaMallocAsync");
    return data;
  }

  void release(void* data, std::size_t) noexcept override {
    if (cudaSetDevice(context_.index) != cudaSuccess) return;
    const std::lock_guard lock(mutex_);
    const bool leaving = leaving_.erase(data) > 0;
    if (leaving && wait_for(context_.stream, copies_) != cudaSuccess) return;
    static_cast<void>(cudaFreeAsync(data, leaving ? copies_ : context_.stream));
  }

  std::size_t reserved() const override {
    std::uint64_t bytes = 0;
    check(cudaMemPoolGetAttribute(context_.pool, cudaMemPoolAttrReservedMemCurrent, &bytes),
          "cudaMemPoolGetAttribute");
    return bytes;
  }

  void trim(std::size_t target) override {
    synchronize();  // released blocks are given back once the stream has passed them
    check(cudaMemPoolTrimTo(context_.pool, target), "cudaMemPoolTrimTo");
  }

  void set_limit(std::size_t bytes) override {
    keep_cached(bytes);
    if (reserved() > bytes) trim(bytes);
  }

  // Host memory is ours again when this returns, whichever way the copy goes.
  void copy(void* to, const void* from, std::size_t bytes) override {
    select();
    const std::optional<int> target = device_of(to), source = device_of(from);
    if (target && source && *target != *source) return copy_from(of(*source), to, from, bytes);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, context_.stream), "cudaMemcpyAsync");
    if (!target || !source) check(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
  }

  void* allocate_host(std::size_t bytes) override {
    select();
    const std::lock_guard lock(mutex_);
    return pinned_->allocate(bytes);
  }

  void release_host(void* host, std::size_t bytes) noexcept override {
    const std::lock_guard lock(mutex_);
    pinned_->release(host, bytes);
  }

  void copy_out(void* host, const void* data, std::size_t bytes) override {
    select();
    const std::lock_guard lock(mutex_);
    leaving_.insert(data);
    check(wait_for(context_.stream, copies_), "cudaStreamWaitEvent");
    check(cudaMemcpyAsync(host, data, bytes, cudaMemcpyDeviceToHost, copies_), "cudaMemcpyAsync");
    if (context_.synchronize_launches) check(cudaStreamSynchronize(copies_), "a copy to the host");
  }

  void copy_in(void* data, const void* host, std::size_t bytes) override {
    select();
    const std::lock_guard lock(mutex_);
    check(wait_for(context_.stream, copies_), "cudaStreamWaitEvent");
    check(cudaMemcpyAsync(data, host, bytes, cudaMemcpyHostToDevice, copies_), "cudaMemcpyAsync");
    check(wait_for(copies_, context_.stream), "cudaStreamWaitEvent");
    finish(context_, "a copy from the host");
  }

  void synchronize() override {
    select();
    check(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
    check(cudaStreamSynchronize(copies_), "cudaStreamSynchronize");
  }

  Context& context() { return context_; }
  void select() const { check(cudaSetDevice(context_.index), "cudaSetDevice"); }

 private:
  // Up to so many bytes stay with the pool at a synchronization.
  void keep_cached(std::size_t bytes) const {
    std::uint64_t threshold = bytes;
    check(cudaMemPoolSetAttribute(context_.pool, cudaMemPoolAttrReleaseThreshold, &threshold),
          "cudaMemPoolSetAttribute");
  }

  // What is asked of `second` from here on waits for what has been asked of `first`. A wait is for the event as it was
  // recorded last, so one event serves all.
  cudaError_t wait_for(cudaStream_t first, cudaStream_t second) const noexcept {
    const cudaError_t error = cudaEventRecord(reached_, first);
    return error == cudaSuccess ? cudaStreamWaitEvent(second, reached_, 0) : error;
  }

  // Ours waits until the other device has made the bytes, and that one's later work, which may release them, until they
  // are copied. An event belongs to the device of the stream that it is recorded in.
  void copy_from(CudaServices& other, void* to, const void* from, std::size_t bytes) {
    {
      const std::lock_guard lock(other.mutex_);
      check(other.wait_for(other.context_.stream, context_.stream), "cudaStreamWaitEvent");
    }
    check(cudaMemcpyPeerAsync(to, context_.index, from, other.context_.index, bytes, context_.stream),
          "cudaMemcpyPeerAsync");
    const std::lock_guard lock(mutex_);
    check(wait_for(context_.stream, other.context_.stream), "cudaStreamWaitEvent");
  }

  // None: the host's memory.
  static std::optional<int> device_of(const void* data) {
    cudaPointerAttributes attributes = {};
    check(cudaPointerGetAttributes(&attributes, data), "cudaPointerGetAttributes");
    if (attributes.type != cudaMemoryTypeDevice) return {};
    return attributes.device;
  }

  Context context_;
  cudaStream_t copies_ = nullptr;
  std::mutex mutex_;  // of what follows
  cudaEvent_t reached_ = nullptr;
  std::unordered_set<const void*> leaving_;  // copied out, and not released yet
  std::optional<PinnedMemory> pinned_;
};

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

void finish(const Context& context, const char* what) {
  if (context.synchronize_launches) check(cudaStreamSynchronize(context.stream), what);
}

DeviceServices& services(int index) { return of(index); }

Context& use(Device device) {
  CudaServices& services = of(device.index);
  services.select();
  return services.context();
}

}  // namespace reprise::cuda
