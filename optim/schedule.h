#pragma once
// Schedules: plain functions from a step's number, from 0 on, to a learning rate or a factor of one. They compose by
// multiplication, and resuming needs nothing but the step:
//
//   optimizer.set_lr(optim::warm_up(step, 100) * optim::cosine_annealing(3e-4, step, {.t_max = 1000}));
//
// Names and formulas are PyTorch's StepLR and CosineAnnealingLR. UserError for a rate or gamma that is negative, infinite or
// NaN, and for a negative step.
#include <cstdint>

namespace reprise::optim {

struct StepLROptions {
  std::int64_t step_size = 1;  // at least 1 (UserError)
  double gamma = 0.1;
};
// lr gamma^floor(step / step_size)
double step_lr(double lr, std::int64_t step, StepLROptions options);

struct CosineAnnealingOptions {
  std::int64_t t_max = 1;  // at least 1 (UserError)
  double eta_min = 0;
};
// eta_min + (lr - eta_min) (1 + cos(pi step / t_max)) / 2, and eta_min from step t_max on
double cosine_annealing(double lr, std::int64_t step, CosineAnnealingOptions options);

// (step + 1) / steps, at most 1: linear from the first step, which already moves, to the full rate in step steps - 1.
// 1 where steps is 0.
double warm_up(std::int64_t step, std::int64_t steps);

}  // namespace reprise::optim
