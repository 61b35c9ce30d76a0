#pragma once
// A training step that is captured as a CUDA graph at its beginning, for --cuda-graph.
#include <optional>

#include "reprise/cli/training_step.h"
#include "reprise/core/cuda_graph.h"

namespace reprise::cli {

class GraphStep {
 public:
  // Captures forward, loss and backward on this batch, which is on a CUDA device. Model and optimizer must outlive it.
  GraphStep(nn::Model& model, const Checkpointing& checkpointing, optim::Optimizer& optimizer,
            data::Batch batch);

  // As training_step, by a replay; also NonFiniteLoss. The batch may be of another device, and has the captured one's shapes. Bytes are those of
  // the capture, which counts as the step does that runs without a graph.
  StepFigures operator()(const data::Batch& batch);

  std::size_t bytes() const { return graph_->bytes(); }  // of the device's memory that the graph keeps

 private:
  optim::Optimizer& optimizer_;
  const data::Batch batch_;
  StepFigures captured_;
  std::optional<CUDAGraph> graph_;
};

// UsageError where --cuda-graph does not go with the others.
void check_cuda_graph(Device device, const Checkpointing& checkpointing);

}  // namespace reprise::cli
