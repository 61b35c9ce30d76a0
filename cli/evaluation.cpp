#include "reprise/cli/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "reprise/autograd/op.h"
#include "reprise/core/error.h"
#include "reprise/data/loader.h"
#include "reprise/nn/eval_mode.h"
#include "reprise/ops/cross_entropy.h"

namespace reprise::cli {
namespace {

constexpr std::int64_t kTestBatch = 250;

}  // namespace

double accuracy(nn::Model& model, const Source& test, Device device) {
  const NoGrad no_grad;
  const nn::EvalMode eval(model);
  std::int64_t right = 0;
  const data::Loader loader(test, {.batch_size = kTestBatch});
  for (auto [x, y] : loader.epoch(0)) {
    const std::vector<double> logits = model(std::move(x).to(device)).to_vector();
    const auto targets = y.read<std::int64_t>();
    const auto classes = static_cast<std::ptrdiff_t>(model.classes());
    // A NaN has no place in an order: the largest logit would be any.
    if (std::any_of(logits.begin(), logits.end(), [](double logit) { return std::isnan(logit); }))
      throw UserError("accuracy: a logit is NaN: check the weights, for they have probably diverged");
    auto row = logits.begin();
    for (std::int64_t target : targets) {
      right += std::max_element(row, row + classes) - row == target;
      row += classes;
    }
  }
  return static_cast<double>(right) / static_cast<double>(test.size());
}

double validation_loss(nn::Model& model, const Source& windows, std::int64_t batch_size, Device device) {
  const NoGrad no_grad;
  const nn::EvalMode eval(model);
  double sum = 0;
  const data::Loader loader(windows, {.batch_size = batch_size});
  for (auto [x, y] : loader.epoch(0)) {
    const auto count = static_cast<double>(y.size(0));
    sum += count * cross_entropy(model(std::move(x).to(device)), std::move(y).to(device)).item();
  }
  const double loss = sum / static_cast<double>(windows.size());
  if (!std::isfinite(loss))
    throw UserError(
        fmt::format("validation: the loss is {}: check the weights, for they have probably diverged", loss));
  return loss;
}

}  // namespace reprise::cli
