// Small kernels with a fault in each, and without: what the emulator must notice.
#include <cublasLt.h>

#include <cstring>
#include <string_view>

#include "reprise/cuda/kernel.cuh"
#include "reprise/cuda/reduce.cuh"

namespace reprise::cuda {
namespace {

constexpr int kCount = 256;

// y[i] = x[kCount - 1 - i] through shared memory.
template <bool barrier>
__global__ void reverse(const float* x, float* y) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x] = x[threadIdx.x];
  if (barrier) __syncthreads();
  y[threadIdx.x] = shared[kCount - 1 - threadIdx.x];
}

// y[i] = x[i], which two neighbours hand each other twice through shared memory.
template <bool first, bool second>
__global__ void swap_twice(const float* x, float* y) {
  float* shared = shared_memory<float>();
  const unsigned i = threadIdx.x, neighbour = i ^ 1U;
  shared[i] = x[i];
  if (first) __syncwarp();
  const float value = shared[neighbour];
  if (second) __syncwarp();
  shared[i] = value;
  __syncthreads();
  y[i] = shared[neighbour];
}

// y += x, once for each block.
template <bool atomic>
__global__ void add_to(const float* x, float* y) {
  if (atomic)
    atomicAdd(&y[threadIdx.x], x[threadIdx.x]);
  else
    y[threadIdx.x] += x[threadIdx.x];
}

// y[i] = x[i / 2 * 2] + x[i / 2 * 2 + 1], by atomics on shared memory.
template <bool atomic>
__global__ void add_neighbours(const float* x, float* y) {
  float* shared = shared_memory<float>();
  const unsigned i = threadIdx.x;
  shared[i] = 0;
  __syncthreads();
  if (atomic)
    atomicAdd(&shared[i / 2], x[i]);
  else
    shared[i / 2] += x[i];
  __syncthreads();
  y[i] = shared[i / 2];
}

// Half of the threads wait for the other half, which has gone.
__global__ void reverse_in_half(const float* x, float* y) {
  y[threadIdx.x] = x[kCount - 1 - threadIdx.x];
  if (threadIdx.x < kCount / 2) __syncthreads();
}

// y = 2 x: `last` is the last number that is written.
__global__ void twice(int last, const float* x, float* y) {
  const std::int64_t i = thread_number();
  if (i <= last) y[i] = 2 * x[i];
}

// y = the sum of x's warp, asked of lanes that do not take part.
__global__ void sum_warps(bool all_take_part, const float* x, float* y) {
  float value = x[threadIdx.x];
  if (all_take_part || threadIdx.x % kWarp < kWarp / 2) value = reduce_warp(value, Add{});
  y[threadIdx.x] = value;
}

// The row-major product [16, 8] x [8, 32] as cuBLASLt's columns, whose leading dimensions are given.
cublasStatus_t multiply(const Context& context, std::int64_t of_b, std::int64_t of_a, const float* a,
                        const float* b, float* y, void* workspace) {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, result = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtCreate(&handle);
  cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  cublasLtMatrixLayoutCreate(&first, CUDA_R_32F, 32, 8, of_b);
  cublasLtMatrixLayoutCreate(&second, CUDA_R_32F, 8, 16, of_a);
  cublasLtMatrixLayoutCreate(&result, CUDA_R_32F, 32, 16, 32);
  cublasLtMatmulPreferenceCreate(&preference);
  const std::uint32_t alignment = 4;
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof alignment);
  cublasLtMatmulHeuristicResult_t found = {};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, operation, first, second, result,
                                                               result, preference, 1, &found, &count);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const float one = 1, zero = 0;
  return cublasLtMatmul(handle, operation, &one, b, first, a, second, &zero, y, result, y, result,
                        &found.algo, workspace, found.workspaceSize, context.stream);
}

}  // namespace
}  // namespace reprise::cuda

// Of the product that `multiply` makes of these operands, [16, 32]; a status of cuBLASLt, or 0.
extern "C" int reprise_emulator_planted_product(bool swapped, const float* a, const float* b, float* y) {
  using namespace reprise;
  using namespace reprise::cuda;
  const Context& context = use(Device::cuda(0));
  DeviceServices& device = services(0);
  constexpr std::size_t kA = 16 * 8 * sizeof(float), kB = 8 * 32 * sizeof(float),
                        kY = 16 * 32 * sizeof(float);
  auto *from_a = static_cast<float*>(device.allocate(kA)), *from_b = static_cast<float*>(device.allocate(kB));
  auto* to = static_cast<float*>(device.allocate(kY));
  device.copy(from_a, a, kA);
  device.copy(from_b, b, kB);
  // Swapped: each has the other's extent, [8, 32] read as if its columns were 8 apart.
  const cublasStatus_t status =
      multiply(context, swapped ? 8 : 32, swapped ? 32 : 8, from_a, from_b, to, nullptr);
  if (status == CUBLAS_STATUS_SUCCESS) device.copy(y, to, kY);
  return static_cast<int>(status);
}

// Runs what `name` says on 0, 1, ..., 255 and copies the result to `y`; an error of CUDA, or 0.
extern "C" int reprise_emulator_planted(const char* name, float* y) {
  using namespace reprise;
  using namespace reprise::cuda;
  const std::string_view planted = name;
  const Context& context = use(Device::cuda(0));
  DeviceServices& device = services(0);
  float numbers[kCount];
  for (int i = 0; i < kCount; ++i) numbers[i] = static_cast<float>(i);
  auto* from = static_cast<float*>(device.allocate(sizeof numbers));
  auto* to = static_cast<float*>(device.allocate(sizeof numbers));
  device.copy(from, numbers, sizeof numbers);
  const auto start = [&](std::int64_t grid, std::size_t shared, auto kernel, auto... arguments) {
    launch(name, context, grid, kCount, shared, kernel, arguments...);
  };
  try {
    if (planted == "reverse") start(1, sizeof numbers, reverse<true>, from, to);
    if (planted == "reverse without a barrier") start(1, sizeof numbers, reverse<false>, from, to);
    if (planted == "reverse in too little shared memory")
      start(1, sizeof numbers - 16, reverse<true>, from, to);
    if (planted == "swap twice") start(1, sizeof numbers, swap_twice<true, true>, from, to);
    if (planted == "swap twice, read too early") start(1, sizeof numbers, swap_twice<false, true>, from, to);
    if (planted == "swap twice, written too early")
      start(1, sizeof numbers, swap_twice<true, false>, from, to);
    if (planted == "four times" || planted == "four times without an atomic") {
      start(1, 0, twice, kCount - 1, from, to);
      start(2, 0, planted == "four times" ? add_to<true> : add_to<false>, from, to);
    }
    if (planted == "add neighbours") start(1, sizeof numbers, add_neighbours<true>, from, to);
    if (planted == "add neighbours without an atomic")
      start(1, sizeof numbers, add_neighbours<false>, from, to);
    if (planted == "a barrier in half of the block") start(1, 0, reverse_in_half, from, to);
    if (planted == "twice") start(2, 0, twice, kCount - 1, from, to);
    if (planted == "twice, one too many") start(2, 0, twice, kCount, from, to);
    if (planted == "twice, one too few") start(1, 0, twice, kCount - 2, from, to);
    if (planted == "twice, of the host's memory") start(1, 0, twice, kCount - 1, numbers, to);
    if (planted == "twice, on a released operand") {
      device.release(from, sizeof numbers);
      start(1, 0, twice, kCount - 1, from, to);
    }
    if (planted == "sum of warps") start(1, 0, sum_warps, true, from, to);
    if (planted == "sum of warps, half of the lanes") start(1, 0, sum_warps, false, from, to);
    if (planted == "twice, read too early") {
      start(1, 0, twice, kCount - 1, from, to);
      std::memcpy(y, to, sizeof numbers);
      return 0;
    }
    device.copy(y, to, sizeof numbers);
  } catch (const DeviceError&) {
    return 1;
  }
  return 0;
}

// Doubles 0, 1, ..., 255, copies the result out beside the work that follows, reads it back and doubles it again, as the
// services do, but without what `name` says; an error of CUDA, or 0.
extern "C" int reprise_emulator_planted_copies(const char* name, float* y) {
  using namespace reprise;
  using namespace reprise::cuda;
  const std::string_view planted = name;
  const Context& context = use(Device::cuda(0));
  DeviceServices& device = services(0);
  static cudaStream_t copies = nullptr;
  static cudaEvent_t reached = nullptr;
  if (!copies) {
    check(cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cudaEventCreateWithFlags(&reached, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  const auto wait_for = [&](cudaStream_t first, cudaStream_t second) {
    check(cudaEventRecord(reached, first), "cudaEventRecord");
    check(cudaStreamWaitEvent(second, reached, 0), "cudaStreamWaitEvent");
  };
  float numbers[kCount];
  for (int i = 0; i < kCount; ++i) numbers[i] = static_cast<float>(i);
  const auto room = [&] { return static_cast<float*>(device.allocate(sizeof numbers)); };
  float *x = room(), *doubled = room(), *other = room();
  void* host = nullptr;
  try {
    check(cudaHostAlloc(&host, sizeof numbers, cudaHostAllocDefault), "cudaHostAlloc");
    device.copy(x, numbers, sizeof numbers);
    launch("twice", context, 1, kCount, 0, twice, kCount - 1, x, doubled);
    if (planted != "out too early") wait_for(context.stream, copies);
    check(cudaMemcpyAsync(host, doubled, sizeof numbers, cudaMemcpyDeviceToHost, copies), "cudaMemcpyAsync");
    if (planted == "host memory read too early") {
      std::memcpy(y, host, sizeof numbers);
      return 0;
    }
    if (planted == "host memory given back too early") {
      check(cudaFreeHost(host), "cudaFreeHost");
      check(cudaStreamSynchronize(copies), "cudaStreamSynchronize");
    }
    launch("twice again", context, 1, kCount, 0, twice, kCount - 1, doubled, other);
    if (planted == "released too early") {
      check(cudaFreeAsync(doubled, context.stream), "cudaFreeAsync");
    } else {
      if (planted != "released while it is read") wait_for(context.stream, copies);
      check(cudaFreeAsync(doubled, copies), "cudaFreeAsync");
    }
    float *back = room(), *again = room();
    wait_for(context.stream, copies);
    check(cudaMemcpyAsync(back, host, sizeof numbers, cudaMemcpyHostToDevice, copies), "cudaMemcpyAsync");
    if (planted != "read back too early") wait_for(copies, context.stream);
    launch("twice of what came back", context, 1, kCount, 0, twice, kCount - 1, back, again);
    device.copy(y, again, sizeof numbers);
    device.synchronize();
  } catch (const DeviceError&) {
    return 1;
  }
  return 0;
}

// What REPRISE_CUDA_SYNCHRONIZE says when the process begins, for tests that cannot begin a process.
extern "C" void reprise_emulator_synchronize_launches(bool on) {
  using namespace reprise;
  cuda::use(Device::cuda(0)).synchronize_launches = on;
}
