#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

#include "reprise/core/error.h"
#include "reprise/core/meter.h"
#include "reprise/cuda/check.h"
#include "reprise/cuda/context.h"
#include "reprise/cuda/report.h"

namespace reprise::cuda {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // so that the next call does not report it again
  throw DeviceError(
      fmt::format("{}: error {}: {}", call, static_cast<int>(error), cudaGetErrorString(error)));
}

namespace {

// Memory from CUDA's own pool, in the order of the stream: what a kernel still reads may be released behind it.
class CudaServices final : public DeviceServices {
 public:
  explicit CudaServices(int index) {
    require_usable(index);
    context_.index = index;
    check(cudaSetDevice(index), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
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
    if (cudaSetDevice(context_.index) == cudaSuccess) static_cast<void>(cudaFreeAsync(data, context_.stream));
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
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, context_.stream), "cudaMemcpyAsync");
    if (!on_device(to) || !on_device(from)) synchronize();
  }

  void synchronize() override {
    select();
    check(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
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

  static bool on_device(const void* data) {
    cudaPointerAttributes attributes = {};
    check(cudaPointerGetAttributes(&attributes, data), "cudaPointerGetAttributes");
    return attributes.type == cudaMemoryTypeDevice;
  }

  Context context_;
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

DeviceServices& services(int index) { return of(index); }

Context& use(Device device) {
  CudaServices& services = of(device.index);
  services.select();
  return services.context();
}

}  // namespace reprise::cuda
