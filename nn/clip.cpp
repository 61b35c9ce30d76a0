#include "reprise/nn/clip.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/ops/clip_update.h"

namespace reprise::nn {

namespace {

double square_sum(const Tensor& x) {
  double result = 0;
  const SquareSumArgs args{{x.impl()->data(), &x.info()}, &result};
  const std::size_t bytes = square_sum_slot.workspace(args, x.device(), x.dtype());
  const Ref<Storage> workspace = allocate(bytes, x.device(), memory::Tag::workspace);
  square_sum_slot.run(args, {static_cast<std::byte*>(workspace->data), bytes}, x.device(), x.dtype());
  return result;
}

}  // namespace

double clip_grad_norm(const std::vector<Tensor>& parameters, double max_norm) {
  if (!(max_norm > 0.0))
    throw UserError(fmt::format("clip_grad_norm: max_norm = {} is not positive", max_norm));
  if (is_dry_run()) return 0.0;
  std::vector<Tensor> gradients;
  std::unordered_set<const TensorImpl*> seen;
  for (const Tensor& parameter : parameters) {
    if (!parameter.defined() || !seen.insert(parameter.impl().get()).second) continue;
    if (Tensor gradient = parameter.grad(); gradient.defined()) gradients.push_back(std::move(gradient));
  }
  double sum = 0.0;
  for (const Tensor& gradient : gradients) sum += square_sum(gradient);
  const double norm = std::sqrt(sum);
  if (!(norm > max_norm) || !std::isfinite(norm)) return norm;
  for (const Tensor& gradient : gradients) {
    scale_in_place_slot.run({{gradient.impl()->data(), &gradient.info()}, max_norm / (norm + 1e-6)}, {},
                            gradient.device(), gradient.dtype());
    ++gradient.impl()->storage->version;
  }
  return norm;
}

}  // namespace reprise::nn
