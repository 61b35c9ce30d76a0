// The cache of cuDNN's plans, asked as the backend's kernels ask it.
#include "reprise/cuda/convolution_graph.h"
#include "reprise/cuda/cudnn_plans.h"

using namespace reprise;

// Bytes of workspace of a small convolution's plan; -1: refused.
extern "C" std::int64_t reprise_emulator_plan(int device, std::int64_t channels, bool tf32,
                                              std::int64_t most_workspace) {
  const cuda::Convolution convolution{
      .x = {1, 5, 5, channels}, .weight = {3, 3, 3, channels}, .y = {1, 3, 3, 3}};
  const cuda::CudnnGraph graph{
      .kind = cuda::GraphKind::convolution,
      .key = {-1, channels},
      .request = {.tf32 = tf32, .most_workspace = static_cast<std::size_t>(most_workspace)},
      .operations = [&] { return cuda::convolution_operations(convolution); }};
  const std::optional<std::size_t> bytes = cuda::planned_workspace(graph, Device::cuda(device));
  return bytes ? static_cast<std::int64_t>(*bytes) : -1;
}
