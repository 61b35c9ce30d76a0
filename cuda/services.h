#pragma once
// The services of one CUDA device (core/device.h).
#include <cuda_runtime_api.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include "reprise/cuda/context.h"
#include "reprise/cuda/graph_memory.h"
#include "reprise/cuda/pinned_memory.h"

namespace reprise::cuda {

// Memory from CUDA's own pool, in the order of the stream: what a kernel still reads may be released behind it.
//
// Copies out of the device for a while, and back, have a stream of their own, so that kernels run beside them. Events order
// the two streams, and the host waits for nothing: a copy out begins when what was asked for before it is done; a buffer that
// is being copied out is released in the order of the copies, and once the kernels that were asked for before have read it; a
// copy back begins when its buffer is free, and what is asked for after it waits for it.
//
// While a step is captured (captured_graph.cpp) both streams are, its buffers come from the graph's own memory, and what would
// have the host wait is refused. A buffer that is copied out is free for others when the copy is done: the stream waits for it.
class CudaServices final : public DeviceServices {
 public:
  explicit CudaServices(int index);

  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) noexcept override;
  std::size_t reserved() const override;
  void trim(std::size_t target) override;
  void set_limit(std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void* allocate_host(std::size_t bytes) override;
  void release_host(void* host, std::size_t bytes) noexcept override;
  void copy_out(void* host, const void* data, std::size_t bytes) override;
  void copy_in(void* data, const void* host, std::size_t bytes) override;
  void synchronize() override;
  std::unique_ptr<CapturedStep> capture(const std::function<void()>& warm_up,
                                        const std::function<void()>& step) override;
  StepCapture step_capture() const override { return step_capture_; }

  Context& context() { return context_; }
  // The device is the calling thread's from here on. CaptureError where another thread captures a step.
  void select() const;

  void launch(cudaGraphExec_t graph, const GraphMemory& memory, RandomAddress random);
  void destroy(cudaGraphExec_t graph, GraphMemory& memory) noexcept;

 private:
  class Capture;

  void* from_pool(std::size_t bytes);
  void release_now(void* data) noexcept;
  void keep_cached(std::size_t bytes) const;
  cudaError_t wait_for(cudaStream_t first, cudaStream_t second) const noexcept;
  void copy_from(CudaServices& other, void* to, const void* from, std::size_t bytes);
  bool is_capturing() const { return step_capture_ == StepCapture::capturing; }
  [[noreturn]] void refuse(std::string_view what) const;
  GraphMemory* graph_memory_of(const void* data) const;
  void retire(GraphMemory& memory) noexcept;
  void drop_unused_graph_memory() noexcept;

  Context context_;
  cudaStream_t copies_ = nullptr;
  std::atomic<StepCapture> step_capture_ = StepCapture::none;
  std::atomic<std::thread::id> capturing_thread_ = {};  // of a capture and its warm-up
  std::mutex mutex_;                                    // of what follows
  cudaEvent_t reached_ = nullptr;
  std::unordered_set<const void*> leaving_;  // copied out, and not released yet
  std::optional<PinnedMemory> pinned_;
  std::vector<std::unique_ptr<GraphMemory>> graph_memories_;
  GraphMemory* captured_memory_ = nullptr;  // of the step that is captured or warmed up
  bool copies_captured_ = false;            // the capture has work in the stream of the copies
  // Destroyed while a step was captured.
  std::vector<std::pair<cudaGraphExec_t, GraphMemory*>> destroyed_;
};

}  // namespace reprise::cuda
