#include "reprise/cuda/cudnn_plans.h"

#include <map>
#include <mutex>

#include "reprise/core/error.h"
#include "reprise/cuda/context.h"

namespace reprise::cuda {

namespace {

struct Plans {
  struct OfDevice {
    cudnnHandle_t handle = nullptr;
    Descriptor properties;
  };
  struct Key {
    GraphKind kind;
    int device;
    PlanRequest request;
    std::vector<std::int64_t> graph;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  std::mutex mutex;
  std::map<int, OfDevice> devices;
  std::map<Key, PlanResult> made;  // refusals too

  OfDevice& device(const Context& context) {
    OfDevice& device = devices[context.index];
    if (!device.handle) {
      check(cudnnCreate(&device.handle), "cudnnCreate");
      check(cudnnSetStream(device.handle, context.stream), "cudnnSetStream");
      device.properties = device_properties(device.handle);
    }
    return device;
  }
  const PlanResult& find(const CudnnGraph& graph, const Context& context) {
    Key key{graph.kind, context.index, graph.request, graph.key};
    const auto found = made.find(key);
    if (found != made.end()) return found->second;
    PlanResult result = make_plan(graph.operations(), device(context).properties, graph.request);
    return made.emplace(std::move(key), std::move(result)).first->second;
  }
};

Plans& plans() {
  static Plans* plans = new Plans;
  return *plans;
}

}  // namespace

std::optional<std::size_t> planned_workspace(const CudnnGraph& graph, Device device) {
  const Context& context = use(device);
  const std::lock_guard lock(plans().mutex);
  const PlanResult& result = plans().find(graph, context);
  if (!result.plan) return {};
  return result.plan->workspace;
}

std::size_t required_workspace(const CudnnGraph& graph, Device device) {
  const Context& context = use(device);
  const std::lock_guard lock(plans().mutex);
  const PlanResult& result = plans().find(graph, context);
  if (!result.plan) throw DeviceError(result.refusal);
  return result.plan->workspace;
}

void run_graph(const CudnnGraph& graph, Device device, std::span<const std::int64_t> ids,
               std::span<void* const> data, std::span<std::byte> workspace) {
  const Context& context = use(device);
  const std::lock_guard lock(plans().mutex);  // a handle is used by one thread at a time
  const PlanResult& result = plans().find(graph, context);
  if (!result.plan || result.plan->workspace > workspace.size())
    throw InternalError("a cuDNN graph is run without a plan, or in less workspace than planned");
  result.plan->run(plans().device(context).handle, ids, data, workspace);
  finish(context, "cudnnBackendExecute");
}

}  // namespace reprise::cuda
