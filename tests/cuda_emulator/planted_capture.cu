// A small captured step with a fault in it, and without: what CUDA refuses under capture.
#include <string_view>

#include "reprise/cuda/kernel.cuh"

namespace reprise::cuda {
namespace {

constexpr int kCount = 256;

__global__ void double_numbers(const float* x, float* y) { y[threadIdx.x] = 2 * x[threadIdx.x]; }

}  // namespace
}  // namespace reprise::cuda

// Doubles 1s on one stream and what comes of it on another, by a graph. The error of cudaStreamEndCapture; 0 where the result
// is 4s after the launch, 1 where it is not.
extern "C" int reprise_emulator_planted_capture(const char* name) {
  using namespace reprise;
  using namespace reprise::cuda;
  const std::string_view planted = name;
  DeviceServices& device = services(0);
  Context context = use(Device::cuda(0));
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr, before = nullptr;
  for (cudaStream_t* stream : {&first, &second})
    check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  for (cudaEvent_t* event : {&fork, &join, &before})
    check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  float numbers[kCount];
  std::fill_n(numbers, kCount, 1.0F);
  const auto room = [&] { return static_cast<float*>(device.allocate(sizeof numbers)); };
  float *x = room(), *twice = room(), *four_times = room();
  device.copy(x, numbers, sizeof numbers);
  check(cudaEventRecord(before, second), "cudaEventRecord");

  check(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  context.stream = first;
  launch("double", context, 1, kCount, 0, double_numbers, x, twice);
  void* memory = nullptr;
  if (planted == "the host waits") static_cast<void>(cudaStreamSynchronize(first));
  if (planted == "memory from the pool") static_cast<void>(cudaMallocAsync(&memory, 256, first));
  if (planted == "memory to the pool") static_cast<void>(cudaFreeAsync(x, first));
  if (planted == "page-locked memory") static_cast<void>(cudaHostAlloc(&memory, 256, cudaHostAllocDefault));
  if (planted == "a copy from pageable memory")
    static_cast<void>(cudaMemcpyAsync(twice, numbers, sizeof numbers, cudaMemcpyHostToDevice, first));
  if (planted == "an event from before") static_cast<void>(cudaStreamWaitEvent(first, before, 0));
  if (cudaEventRecord(fork, first) == cudaSuccess && cudaStreamWaitEvent(second, fork, 0) == cudaSuccess) {
    context.stream = second;
    launch("double", context, 1, kCount, 0, double_numbers, twice, four_times);
    check(cudaEventRecord(join, second), "cudaEventRecord");
    if (planted != "a stream that is not joined")
      check(cudaStreamWaitEvent(first, join, 0), "cudaStreamWaitEvent");
  }
  cudaGraph_t graph = nullptr;
  const cudaError_t error = cudaStreamEndCapture(first, &graph);
  int result = static_cast<int>(error);
  if (error == cudaSuccess) {
    cudaGraphExec_t executable = nullptr;
    check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    check(cudaGraphDestroy(graph), "cudaGraphDestroy");
    device.synchronize();
    check(cudaGraphLaunch(executable, first), "cudaGraphLaunch");
    check(cudaStreamSynchronize(first), "cudaStreamSynchronize");
    check(cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
    device.copy(numbers, four_times, sizeof numbers);
    for (const float number : numbers) result |= number != 4;
  }
  for (float* buffer : {x, twice, four_times}) device.release(buffer, sizeof numbers);
  return result;
}
