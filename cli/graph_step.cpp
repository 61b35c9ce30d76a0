#include "reprise/cli/graph_step.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "reprise/autograd/tape.h"
#include "reprise/cli/options.h"
#include "reprise/core/memory.h"
#include "reprise/ops/cross_entropy.h"

namespace reprise::cli {

void check_cuda_graph(Device device, const Checkpointing& checkpointing) {
  if (device.kind != Device::CUDA)
    throw UsageError("--cuda-graph: only a CUDA device captures a step; add --device cuda");
  if (checkpointing.online_budget)
    throw UsageError(
        "--cuda-graph: --planner dtr lets go of values as a step runs, and a replay does nothing new; choose "
        "another planner");
}

GraphStep::GraphStep(nn::Model& model, const Checkpointing& checkpointing, optim::Optimizer& optimizer,
                     data::Batch batch)
    : optimizer_(optimizer), batch_(std::move(batch)) {
  const Device device = batch_.inputs.device();
  optimizer.zero_grad();
  captured_.base_bytes = memory::live(device);
  memory::reset_peak(device);
  graph_.emplace(model.parameters(), [&] {
    Tape tape({.plan = checkpointing.plan});
    Tensor loss = cross_entropy(model(batch_.inputs, checkpointing.setting), batch_.targets);
    tape.backward(loss);
    captured_.replayed_nodes = tape.replays();
    return loss;
  });
  captured_.peak_bytes = memory::peak(device);
  captured_.peak_by_tag = memory::peak_by_tag(device);
}

StepFigures GraphStep::operator()(const data::Batch& batch) {
  StepFigures figures = captured_;
  const auto start = std::chrono::steady_clock::now();
  copy_into(batch_.inputs, batch.inputs);
  copy_into(batch_.targets, batch.targets);
  figures.loss = graph_->replay().item();
  if (!std::isfinite(figures.loss)) throw NonFiniteLoss(figures.loss);
  optimizer_.step();
  services(batch_.inputs.device()).synchronize();
  figures.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return figures;
}

}  // namespace reprise::cli
