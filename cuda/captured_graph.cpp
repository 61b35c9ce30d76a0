// Steps that are captured as CUDA graphs: the services' part of core/cuda_graph.h.
//
// Under cudaStreamCaptureModeThreadLocal, so that a call that a graph cannot hold, as cudaMalloc, fails instead of being left out
// of it: what libraries make at a first use is there since the warm-up.
#include <algorithm>
#include <utility>

#include "reprise/core/error.h"
#include "reprise/core/meter.h"
#include "reprise/cuda/check.h"
#include "reprise/cuda/random_begin.h"
#include "reprise/cuda/services.h"

namespace reprise::cuda {

namespace {

class CapturedGraph final : public CapturedStep {
 public:
  CapturedGraph(CudaServices& services, cudaGraphExec_t graph, GraphMemory& memory)
      : services_(services), graph_(graph), memory_(memory) {}
  ~CapturedGraph() override { services_.destroy(graph_, memory_); }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;
  void launch(RandomAddress random) override { services_.launch(graph_, memory_, random); }
  std::size_t bytes() const override { return memory_.bytes(); }

 private:
  CudaServices& services_;
  cudaGraphExec_t graph_;
  GraphMemory& memory_;
};

}  // namespace

// Until its end this thread alone uses the device, to warm a step up and to capture it.
class CudaServices::Capture {
 public:
  explicit Capture(CudaServices& services) : services_(services) {
    const std::lock_guard lock(services.mutex_);
    services.graph_memories_.push_back(std::make_unique<GraphMemory>(services.copies_));
    services.captured_memory_ = services.graph_memories_.back().get();
    services.capturing_thread_ = std::this_thread::get_id();
    services.step_capture_ = StepCapture::warming_up;
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() {
    if (services_.is_capturing()) {
      cudaGraph_t graph = nullptr;
      if (cudaStreamEndCapture(services_.context_.stream, &graph) == cudaSuccess && graph)
        static_cast<void>(cudaGraphDestroy(graph));
      static_cast<void>(cudaGetLastError());
    }
    services_.context_.captured_random = nullptr;
    services_.step_capture_ = StepCapture::none;
    std::vector<std::pair<cudaGraphExec_t, GraphMemory*>> destroyed;
    {
      const std::lock_guard lock(services_.mutex_);
      GraphMemory& memory = *std::exchange(services_.captured_memory_, nullptr);
      if (!succeeded_) services_.retire(memory);
      destroyed.swap(services_.destroyed_);
    }
    services_.capturing_thread_ = std::thread::id();
    for (const auto& [graph, memory] : destroyed) services_.destroy(graph, *memory);
  }

  void begin() {
    GraphMemory& memory = *services_.captured_memory_;
    const Device device = Device::cuda(services_.context_.index);
    if (memory::real_meters().of(device).missing(memory.bytes()) > 0)
      memory::throw_out_of_memory(memory.bytes(), device, "for the buffers of a step that is captured");
    memory.settle(services_.from_pool(memory.bytes()));
    services_.synchronize();  // the warm-up's copies are done with the page-locked memory
    random_ = {random_state(), memory.random()};
    check(cudaStreamBeginCapture(services_.context_.stream, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
    services_.copies_captured_ = false;
    services_.context_.captured_random = &random_;
    services_.step_capture_ = StepCapture::capturing;
  }

  cudaGraphExec_t end() {
    const cudaStream_t stream = services_.context_.stream;
    if (services_.copies_captured_)
      check(services_.wait_for(services_.copies_, stream), "cudaStreamWaitEvent");
    cudaGraph_t graph = nullptr;
    services_.step_capture_ = StepCapture::warming_up;  // ended, whatever this returns
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    check(error, "cudaGraphInstantiate");
    succeeded_ = true;
    return executable;
  }

 private:
  CudaServices& services_;
  CapturedRandom random_;
  bool succeeded_ = false;
};

std::unique_ptr<CapturedStep> CudaServices::capture(const std::function<void()>& warm_up,
                                                    const std::function<void()>& step) {
  select();
  if (captured_memory_)
    refuse("a CUDA graph is to be captured in a step that is captured itself; make it before");
  Capture capture(*this);
  GraphMemory& memory = *captured_memory_;
  warm_up();
  capture.begin();
  step();
  return std::make_unique<CapturedGraph>(*this, capture.end(), memory);
}

void CudaServices::launch(cudaGraphExec_t graph, const GraphMemory& memory, RandomAddress random) {
  select();
  if (captured_memory_)
    refuse("a CUDA graph is to be replayed in a step that is captured itself; replay it after");
  write_random_begin(context_, memory.random(), random);
  check(cudaGraphLaunch(graph, context_.stream), "cudaGraphLaunch");
  finish(context_, "cudaGraphLaunch");
}

void CudaServices::destroy(cudaGraphExec_t graph, GraphMemory& memory) noexcept {
  static_cast<void>(cudaSetDevice(context_.index));
  const std::lock_guard lock(mutex_);
  if (is_capturing()) return destroyed_.emplace_back(graph, &memory), void();
  static_cast<void>(cudaStreamSynchronize(context_.stream));
  static_cast<void>(cudaGraphExecDestroy(graph));
  retire(memory);
}

GraphMemory* CudaServices::graph_memory_of(const void* data) const {
  for (const auto& memory : graph_memories_)
    if (memory->contains(data)) return memory.get();
  return nullptr;
}

// Its graph is gone: nothing is launched into it any more.
void CudaServices::retire(GraphMemory& memory) noexcept {
  for (void* data : std::exchange(memory.kept, {})) release_now(data);
  memory.launchable = false;
  drop_unused_graph_memory();
}

void CudaServices::drop_unused_graph_memory() noexcept {
  if (is_capturing()) return;
  std::erase_if(graph_memories_, [&](const std::unique_ptr<GraphMemory>& memory) {
    if (memory->in_use()) return false;
    if (memory->range()) static_cast<void>(cudaFreeAsync(memory->range(), context_.stream));
    return true;
  });
}

}  // namespace reprise::cuda
