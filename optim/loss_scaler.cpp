#include "reprise/optim/loss_scaler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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

}  // namespace

LossScaler::LossScaler(LossScalerOptions options) : options_(options), scale_(options.init_scale) {
  if (!(options.init_scale > 0 && options.growth_factor > 1 && options.backoff_factor > 0 &&
        options.backoff_factor < 1 && options.growth_interval >= 1))
    throw UserError(fmt::format(
        "LossScaler: init_scale = {} must be above 0, growth_factor = {} above 1, backoff_factor = {} in (0, "
        "1) "
        "and growth_interval = {} at least 1",
        options.init_scale, options.growth_factor, options.backoff_factor, options.growth_interval));
}

Tensor LossScaler::scale(Tensor loss) const { return std::move(loss) * scale_; }

const LossScaler::Unscaled* LossScaler::find(const Optimizer& optimizer) const {
  const auto found = std::find_if(unscaled_.begin(), unscaled_.end(),
                                  [&](const Unscaled& entry) { return entry.optimizer == &optimizer; });
  return found == unscaled_.end() ? nullptr : &*found;
}

void LossScaler::unscale(Optimizer& optimizer) {
  if (find(optimizer))
    throw UserError(
        "LossScaler: unscale of an optimizer whose gradients are unscaled already: call update() after each "
        "step");
  bool finite = true;
  if (!is_dry_run())
    for (const Tensor& parameter : optimizer.parameters()) {
      const Tensor gradient = parameter.grad();
      if (!gradient.defined()) continue;
      scale_in_place_slot.run({view_of(gradient), 1 / scale_}, {}, gradient.device(), gradient.dtype());
      ++gradient.impl()->storage->version;
      finite = finite && is_finite(gradient);
    }
  unscaled_.push_back({&optimizer, finite});
}

bool LossScaler::step(Optimizer& optimizer) {
  if (!find(optimizer)) unscale(optimizer);
  if (!find(optimizer)->finite) return false;
  optimizer.step();
  return true;
}

void LossScaler::update() {
  if (unscaled_.empty()) throw UserError("LossScaler: update() without a step() or unscale() before it");
  const bool finite =
      std::all_of(unscaled_.begin(), unscaled_.end(), [](const Unscaled& entry) { return entry.finite; });
  unscaled_.clear();
  if (is_dry_run()) return;
  if (!finite) {
    scale_ *= options_.backoff_factor;
    growth_ = 0;
  } else if (++growth_ == options_.growth_interval) {
    scale_ *= options_.growth_factor;
    growth_ = 0;
  }
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
  if (state.size() != 2 || !scale.defined() || !growth.defined() || scale.numel() != 1 || growth.numel() != 1)
    throw UserError("LossScaler: the state must be \"scale\" and \"growth\", of one element each");
  scale_ = scale.item<double>();
  growth_ = growth.item<std::int64_t>();
}

}  // namespace reprise::optim
