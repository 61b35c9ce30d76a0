#include "reprise/cuda/report.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise::cuda {

namespace {

constexpr int kLeastCapability = 8;  // compute capability 8.0: Ampere

// 13000 is 13.0
std::string cuda_version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

// 90400 is 9.4.0, of cuDNN since version 9; cuBLASLt counts 130004 for 13.0.4.
std::string cudnn_version(std::size_t number) {
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}
std::string cublaslt_version(std::size_t number) {
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

// Why there is no device at all; empty: `count` devices are there.
std::string missing_devices(int& count) {
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return {};
  count = 0;
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0)
    return fmt::format("no NVIDIA driver: install one that supports CUDA {} (nvidia-smi then lists the GPU)",
                       cuda_version(runtime));
  if (error == cudaErrorInsufficientDriver)
    return fmt::format("the NVIDIA driver supports CUDA {}, Reprise needs {}: install a newer driver",
                       cuda_version(driver), cuda_version(runtime));
  if (error == cudaSuccess || error == cudaErrorNoDevice)
    return "no GPU: the NVIDIA driver sees none (check nvidia-smi and CUDA_VISIBLE_DEVICES)";
  return fmt::format("CUDA cannot be used: cudaGetDeviceCount: error {}: {}", static_cast<int>(error),
                     cudaGetErrorString(error));
}

CudaDevice describe(int index) {
  CudaDevice device;
  cudaDeviceProp properties = {};
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess) {
    device.problem = fmt::format("cudaGetDeviceProperties: error {}: {}", static_cast<int>(error),
                                 cudaGetErrorString(error));
    return device;
  }
  device.name = properties.name;
  device.major = properties.major;
  device.minor = properties.minor;
  device.memory = properties.totalGlobalMem;
  if (device.major < kLeastCapability)
    device.problem =
        fmt::format("compute capability {}.{} is below {}.0, the least that Reprise is built for",
                    device.major, device.minor, kLeastCapability);
  return device;
}

}  // namespace

CudaReport report() {
  CudaReport result;
  int driver = 0, runtime = 0, count = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) result.driver = cuda_version(driver);
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess) result.runtime = cuda_version(runtime);
  result.cublaslt = cublaslt_version(cublasLtGetVersion());
  result.cudnn = cudnn_version(cudnnGetVersion());
  result.problem = missing_devices(count);
  for (int i = 0; i < count; ++i) result.devices.push_back(describe(i));
  return result;
}

void require_usable(int index) {
  int count = 0;
  if (const std::string problem = missing_devices(count); !problem.empty())
    throw UserError(fmt::format("no CUDA device: {}", problem));
  if (index < 0 || index >= count)
    throw UserError(fmt::format("cuda:{}: there {} {} CUDA device{}, numbered from 0", index,
                                count == 1 ? "is" : "are", count, count == 1 ? "" : "s"));
  if (const std::string problem = describe(index).problem; !problem.empty())
    throw UserError(fmt::format("cuda:{} cannot be used: {}", index, problem));
}

}  // namespace reprise::cuda
