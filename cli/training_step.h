#pragma once
// One training step, and what it took.
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "reprise/autograd/plan.h"
#include "reprise/checkpoint/trace.h"
#include "reprise/core/error.h"
#include "reprise/data/dataset.h"
#include "reprise/nn/models.h"
#include "reprise/optim/optimizer.h"

namespace reprise::cli {

struct StepFigures {
  double loss = 0;  // not in a dry run, where no value can be read
  double seconds = 0;
  std::int64_t replayed_nodes = 0;
  // The meter's, of the device that the batch is on:
  std::size_t base_bytes = 0;  // live after zero_grad: parameters, buffers, optimizer state and the batch
  std::size_t peak_bytes = 0;  // the highest in the step
  std::map<std::string, std::size_t> peak_by_tag;
  std::size_t peak_activation_bytes() const { return peak_bytes - base_bytes; }
};

// A plan, or a budget that values are let go of for as the step runs, wins over a setting.
struct Checkpointing {
  nn::CheckpointSetting setting = {};
  std::optional<Plan> plan = {};
  std::optional<std::size_t> online_budget = {};  // not in a dry run
};

// The loss of a step is NaN or infinite. Thrown before the optimizer's step, so that the weights stay as they were.
struct NonFiniteLoss : Error {
  explicit NonFiniteLoss(double loss);
  std::string value;  // "NaN" or "infinite"
};

// The batch on this device, counted as data.
data::Batch on_device(data::Batch batch, Device device);

// Forward, loss (cross-entropy) and backward: what a plan is made for. Model and batch must outlive it.
checkpoint::Step step_of(nn::Model& model, nn::CheckpointSetting setting, const data::Batch& batch);

// Runs forward and backward of a step once more, with a look at every output and gradient. Describes the first op that made
// NaN or infinity; empty if all was finite. The caller restores the random state that the step began with.
std::string first_op_not_finite(nn::Model& model, const Checkpointing& checkpointing,
                                optim::Optimizer& optimizer, const data::Batch& batch);

// zero_grad, forward, loss (cross-entropy), backward, optimizer. NonFiniteLoss. Resets the meter's peak at the start when asked to
// measure; else the byte figures are zero.
enum class Measure { time, bytes };
StepFigures training_step(nn::Model& model, const Checkpointing& checkpointing, optim::Optimizer& optimizer,
                          const data::Batch& batch, Measure measure);

}  // namespace reprise::cli
