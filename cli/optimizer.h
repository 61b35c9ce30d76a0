#pragma once
// An optimizer and a learning rate by their names on the command line.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "reprise/optim/optimizer.h"

namespace reprise::cli {

const std::vector<std::string>& optimizer_names();
const std::vector<std::string>& schedule_names();

struct OptimizerOptions {
  double lr = 1e-3;
  double momentum = 0.9;  // sgd
  double weight_decay = 0.0;
};
std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name, std::vector<Tensor> parameters,
                                                 OptimizerOptions options);

struct ScheduleOptions {
  double lr = 1e-3;
  std::int64_t warmup = 0;  // steps, linear from 0
  std::int64_t steps = 1;   // of the whole run
};
// constant; cosine: to zero over the run; step: a tenth at half of the run, a hundredth at three quarters.
double learning_rate(const std::string& schedule, std::int64_t step, const ScheduleOptions& options);

}  // namespace reprise::cli
