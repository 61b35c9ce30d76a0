#include "reprise/optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reprise/core/error.h"

namespace reprise::optim {

double step_lr(double lr, std::int64_t step, StepLROptions options) {
  if (options.step_size < 1)
    throw UserError(fmt::format("step_lr: step_size = {} is below 1", options.step_size));
  const std::int64_t steps_down = step / options.step_size;
  return lr * std::pow(options.gamma, static_cast<double>(steps_down));
}

double cosine_annealing(double lr, std::int64_t step, CosineAnnealingOptions options) {
  if (options.t_max < 1)
    throw UserError(fmt::format("cosine_annealing: t_max = {} is below 1", options.t_max));
  const double done = static_cast<double>(std::min(step, options.t_max)) / static_cast<double>(options.t_max);
  return options.eta_min + (lr - options.eta_min) * (1.0 + std::cos(std::numbers::pi * done)) / 2.0;
}

double warm_up(std::int64_t step, std::int64_t steps) {
  if (step + 1 >= steps) return 1.0;
  return static_cast<double>(step + 1) / static_cast<double>(steps);
}

}  // namespace reprise::optim
