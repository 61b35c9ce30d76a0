#include "reprise/optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "reprise/core/error.h"
#include "reprise/optim/rates.h"

namespace reprise::optim {
namespace {

void check_count(const char* schedule, const char* name, std::int64_t count, std::int64_t least) {
  if (count < least) throw UserError(fmt::format("{}: {} = {} is below {}", schedule, name, count, least));
}

}  // namespace

double step_lr(double lr, std::int64_t step, StepLROptions options) {
  check_rate("step_lr", "lr", lr);
  check_rate("step_lr", "gamma", options.gamma);
  check_count("step_lr", "step", step, 0);
  check_count("step_lr", "step_size", options.step_size, 1);
  const std::int64_t steps_down = step / options.step_size;
  return lr * std::pow(options.gamma, static_cast<double>(steps_down));
}

double cosine_annealing(double lr, std::int64_t step, CosineAnnealingOptions options) {
  check_rate("cosine_annealing", "lr", lr);
  check_rate("cosine_annealing", "eta_min", options.eta_min);
  check_count("cosine_annealing", "step", step, 0);
  check_count("cosine_annealing", "t_max", options.t_max, 1);
  const double done = static_cast<double>(std::min(step, options.t_max)) / static_cast<double>(options.t_max);
  return options.eta_min + (lr - options.eta_min) * (1.0 + std::cos(std::numbers::pi * done)) / 2.0;
}

double warm_up(std::int64_t step, std::int64_t steps) {
  check_count("warm_up", "step", step, 0);
  check_count("warm_up", "steps", steps, 0);
  if (step >= steps - 1) return 1.0;
  return static_cast<double>(step + 1) / static_cast<double>(steps);
}

}  // namespace reprise::optim
