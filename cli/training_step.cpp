#include "reprise/cli/training_step.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "reprise/autograd/finite_check.h"
#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/online_eviction.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/ops/cross_entropy.h"

namespace reprise::cli {

NonFiniteLoss::NonFiniteLoss(double loss)
    : Error(fmt::format("the loss is {}: the step was not made", std::isnan(loss) ? "NaN" : "infinite")),
      value(std::isnan(loss) ? "NaN" : "infinite") {}

data::Batch on_device(data::Batch batch, Device device) {
  const memory::TagScope data(memory::Tag::data);
  return {std::move(batch.inputs).to(device), std::move(batch.targets).to(device)};
}

checkpoint::Step step_of(nn::Model& model, nn::CheckpointSetting setting, const data::Batch& batch) {
  return [&model, setting, &batch](Tape& tape) {
    const Tensor loss = cross_entropy(model(batch.inputs, setting), batch.targets);
    tape.backward(loss);
  };
}

std::string first_op_not_finite(nn::Model& model, const Checkpointing& checkpointing,
                                optim::Optimizer& optimizer, const data::Batch& batch) {
  optimizer.zero_grad();
  Tape tape({.plan = checkpointing.plan});
  std::optional<checkpoint::OnlineEviction> eviction;
  if (checkpointing.online_budget) eviction.emplace(tape, *checkpointing.online_budget);
  const FiniteCheck check(tape);
  tape.backward(cross_entropy(model(batch.inputs, checkpointing.setting), batch.targets));
  return check.first() ? check.first()->text : std::string();
}

StepFigures training_step(nn::Model& model, const Checkpointing& checkpointing, optim::Optimizer& optimizer,
                          const data::Batch& batch, Measure measure) {
  const Device device = batch.inputs.device();
  StepFigures figures;
  if (measure == Measure::bytes) memory::reset_peak(device);
  const auto start = std::chrono::steady_clock::now();
  optimizer.zero_grad();
  figures.base_bytes = memory::live(device);
  {
    Tape tape({.plan = checkpointing.plan});
    std::optional<checkpoint::OnlineEviction> eviction;
    if (checkpointing.online_budget) eviction.emplace(tape, *checkpointing.online_budget);
    const Tensor loss = cross_entropy(model(batch.inputs, checkpointing.setting), batch.targets);
    tape.backward(loss);
    figures.replayed_nodes = tape.replays();
    if (!is_dry_run()) figures.loss = loss.item();
  }
  if (!std::isfinite(figures.loss)) throw NonFiniteLoss(figures.loss);
  optimizer.step();
  if (!is_dry_run()) services(device).synchronize();
  figures.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (measure == Measure::bytes) {
    figures.peak_bytes = memory::peak(device);
    figures.peak_by_tag = memory::peak_by_tag(device);
  }
  return figures;
}

}  // namespace reprise::cli
