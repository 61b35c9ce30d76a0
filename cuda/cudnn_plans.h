#pragma once
// Plans for cuDNN's graphs: made once for a graph, a device and a request, and kept as long as the process.
#include <functional>
#include <optional>

#include "reprise/core/device.h"
#include "reprise/cuda/cudnn_graph.h"

namespace reprise::cuda {

enum class GraphKind { convolution, attention, attention_backward };

struct CudnnGraph {
  GraphKind kind;
  std::vector<std::int64_t> key;  // everything that the operations depend on beside the kind
  PlanRequest request;
  std::function<std::vector<Descriptor>()> operations;
};

// Nothing where cuDNN has no engine for the graph.
std::optional<std::size_t> planned_workspace(const CudnnGraph& graph, Device device);
// DeviceError with cuDNN's reasons where it has none.
std::size_t required_workspace(const CudnnGraph& graph, Device device);

// Runs a graph that has a plan; data[i] is what the tensor ids[i] lies at. `workspace` has the bytes of the plan or more.
void run_graph(const CudnnGraph& graph, Device device, std::span<const std::int64_t> ids,
               std::span<void* const> data, std::span<std::byte> workspace);

}  // namespace reprise::cuda
