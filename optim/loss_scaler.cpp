#include "reprise/optim/loss_scaler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/ops/clip_update.h"
#include "reprise/ops/mul.h"
#include "reprise/optim/kernel_calls.h"

namespace reprise::optim {
namespace {

// A sum of squares in f64 is finite exactly if every f32 is.
bool is_finite(const Tensor& gradient) {
  double result = 0;
  const SquareSumArgs args{const_view_of(gradient), &result};
  const std::size_t bytes = square_sum_slot.workspace(args, gradient.device(), gradient.dtype());
  const Ref<Storage> workspace = allocate(bytes, gradient.device(), memory::Tag::workspace);
  square_sum_slot.run(args, {static_cast<std::byte*>(workspace->data), bytes}, gradient.device(),
                      gradient.dtype());
  return std::isfinite(result);
}

std::vector<Tensor> parameters_of(const Optimizer& optimizer) {
  std::vector<Tensor> parameters = optimizer.parameters();
  if (parameters.empty()) throw UserError("LossScaler: the optimizer has no parameters: it was moved from");
  return parameters;
}

}  // namespace

LossScaler::LossScaler(LossScalerOptions options) : options_(options), scale_(options.init_scale) {
  const bool factors = std::isfinite(options.growth_factor) && options.growth_factor > 1 &&
                       options.backoff_factor > 0 && options.backoff_factor < 1;
  const bool scales =
      std::isfinite(options.init_scale) && options.min_scale > 0 && options.init_scale >= options.min_scale;
  if (!factors || !scales || options.growth_interval < 1)
    throw UserError(
        fmt::format("LossScaler: init_scale = {} must be finite and at least min_scale = {}, which is above "
                    "0, growth_factor = "
                    "{} above 1, backoff_factor = {} in (0, 1) and growth_interval = {} at least 1",
                    options.init_scale, options.min_scale, options.growth_factor, options.backoff_factor,
                    options.growth_interval));
}

Tensor LossScaler::scale(Tensor loss) const { return std::move(loss) * scale_; }

LossScaler::Unscaled* LossScaler::find(const std::vector<Tensor>& parameters) {
  const auto found = std::find_if(unscaled_.begin(), unscaled_.end(), [&](const Unscaled& entry) {
    return entry.seen.front().parameter.impl() == parameters.front().impl();
  });
  return found == unscaled_.end() ? nullptr : &*found;
}

void LossScaler::unscale(Optimizer& optimizer) {
  if (is_dry_run()) return;
  const std::vector<Tensor> parameters = parameters_of(optimizer);
  std::unordered_set<const TensorImpl*> divided;
  for (const Unscaled& entry : unscaled_)
    for (const Seen& seen : entry.seen) divided.insert(seen.parameter.impl().get());
  for (const Tensor& parameter : parameters)
    if (divided.contains(parameter.impl().get()))
      throw UserError(
          "LossScaler: unscale of gradients that are unscaled already: call update() after each step, and "
          "give each "
          "parameter to one optimizer");
  Unscaled entry;
  for (const Tensor& parameter : parameters) {
    const Tensor gradient = parameter.grad();
    Seen seen{.parameter = parameter, .has_gradient = gradient.defined()};
    if (gradient.defined()) {
      scale_in_place_slot.run({view_of(gradient), 1 / scale_}, {}, gradient.device(), gradient.dtype());
      seen.version = ++gradient.impl()->storage->version;
      seen.walk = parameter.impl()->gradient_walk;
      entry.finite = entry.finite && is_finite(gradient);
    }
    entry.seen.push_back(std::move(seen));
  }
  unscaled_.push_back(std::move(entry));
}

void LossScaler::check_fresh(const Unscaled& entry) {
  for (const Seen& seen : entry.seen) {
    const Tensor gradient = seen.parameter.grad();
    if (!gradient.defined()) continue;
    if (!seen.has_gradient || seen.parameter.impl()->gradient_walk != seen.walk ||
        gradient.impl()->storage->version < seen.version)
      throw UserError(
          fmt::format("LossScaler: step with a gradient of {}{} that came after unscale(): call step() and "
                      "update() before the "
                      "next backward",
                      seen.parameter.name().empty() ? "" : std::string(seen.parameter.name()) + " ",
                      to_string(seen.parameter.info())));
  }
}

bool LossScaler::step(Optimizer& optimizer) {
  if (is_dry_run()) {
    optimizer.step();
    return true;
  }
  const std::vector<Tensor> parameters = parameters_of(optimizer);
  if (!find(parameters)) unscale(optimizer);
  Unscaled& entry = *find(parameters);
  if (entry.stepped)
    throw UserError("LossScaler: step a second time: call update() after the steps of all optimizers");
  check_fresh(entry);
  if (entry.finite) optimizer.step();
  entry.stepped = true;
  return entry.finite;
}

void LossScaler::update() {
  if (is_dry_run()) return;
  if (unscaled_.empty()) throw UserError("LossScaler: update() without a step() or unscale() before it");
  const bool finite =
      std::all_of(unscaled_.begin(), unscaled_.end(), [](const Unscaled& entry) { return entry.finite; });
  unscaled_.clear();
  if (finite) {
    left_out_ = 0;
    if (++growth_ < options_.growth_interval) return;
    growth_ = 0;
    if (const double grown = scale_ * options_.growth_factor; std::isfinite(grown)) scale_ = grown;
    return;
  }
  growth_ = 0;
  ++left_out_;
  const double lower = scale_ * options_.backoff_factor;
  if (lower < options_.min_scale)
    throw UserError(fmt::format(
        "LossScaler: update {} in a row finds an infinity or NaN among the gradients, and the scale {} "
        "would fall below min_scale = {}: check the loss and the weights for infinities and NaN",
        left_out_, scale_, options_.min_scale));
  scale_ = lower;
}

NamedTensors LossScaler::state() const {
  return {{"scale", Tensor::full({1}, scale_, {.dtype = DType::f64})},
          {"growth", Tensor::from<std::int64_t>({growth_}, {1}, {.dtype = DType::i64})}};
}

void LossScaler::load_state(const NamedTensors& state) {
  Tensor scale, growth;
  for (const auto& [name, tensor] : state) {
    if (name == "scale") scale = tensor;
    if (name == "growth") growth = tensor;
  }
  const auto is_one = [](const Tensor& tensor, DType dtype) {
    return tensor.defined() && tensor.numel() == 1 && tensor.dtype() == dtype;
  };
  if (state.size() != 2 || !is_one(scale, DType::f64) || !is_one(growth, DType::i64))
    throw UserError(
        "LossScaler: the state must be \"scale\" (f64) and \"growth\" (i64), of one element each");
  const double new_scale = scale.item<double>();
  const auto new_growth = growth.item<std::int64_t>();
  if (!std::isfinite(new_scale) || new_scale < options_.min_scale || new_growth < 0)
    throw UserError(
        fmt::format("LossScaler: the state has scale {} and growth {}: the scale must be finite and at least "
                    "min_scale = {}, "
                    "and growth not negative",
                    new_scale, new_growth, options_.min_scale));
  scale_ = new_scale;
  growth_ = new_growth;
  left_out_ = 0;
  unscaled_.clear();
}

}  // namespace reprise::optim
