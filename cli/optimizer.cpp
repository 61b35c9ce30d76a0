#include "reprise/cli/optimizer.h"

#include <algorithm>
#include <utility>

#include "reprise/optim/adam.h"
#include "reprise/optim/adamw.h"
#include "reprise/optim/schedule.h"
#include "reprise/optim/sgd.h"

namespace reprise::cli {

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = {"sgd", "adam", "adamw"};
  return names;
}

const std::vector<std::string>& schedule_names() {
  static const std::vector<std::string> names = {"constant", "cosine", "step"};
  return names;
}

std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name, std::vector<Tensor> parameters,
                                                 OptimizerOptions options) {
  if (name == "sgd")
    return std::make_unique<optim::SGD>(
        std::move(parameters),
        optim::SGDOptions{
            .lr = options.lr, .momentum = options.momentum, .weight_decay = options.weight_decay});
  if (name == "adam")
    return std::make_unique<optim::Adam>(
        std::move(parameters), optim::AdamOptions{.lr = options.lr, .weight_decay = options.weight_decay});
  return std::make_unique<optim::AdamW>(
      std::move(parameters), optim::AdamWOptions{.lr = options.lr, .weight_decay = options.weight_decay});
}

double learning_rate(const std::string& schedule, std::int64_t step, const ScheduleOptions& options) {
  double lr = options.lr;
  const std::int64_t steps = std::max<std::int64_t>(options.steps, 1);
  if (schedule == "cosine") lr = optim::cosine_annealing(options.lr, step, {.t_max = steps});
  // The second quarter of the run ends the first passage, every later quarter one more.
  if (schedule == "step" && 2 * step >= steps)
    lr = optim::step_lr(options.lr, 4 * step / steps - 1, {.step_size = 1, .gamma = 0.1});
  return lr * optim::warm_up(step, options.warmup);
}

}  // namespace reprise::cli
