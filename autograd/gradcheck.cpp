// Gradients checked against central differences. With L = sum of w_i f(x)_i for fixed weights w,
//   dL/dx_k = (L(x + e) - L(x - e)) / 2e + O(e^2).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reprise/autograd/tape.h"
#include "reprise/core/error.h"
#include "reprise/core/random.h"

namespace reprise {
namespace {

// Weights that differ from element to element, so that gradients cannot cancel; in [0.5, 1.5).
double weight(std::int64_t i) {
  return 0.5 + static_cast<double>(uniform_from_word(random_word(0x5eed, static_cast<std::uint64_t>(i))));
}

double weighted_sum(const Tensor& output) {
  const std::vector<double> elements = output.to_vector();
  double sum = 0;
  for (std::size_t i = 0; i < elements.size(); ++i) sum += weight(static_cast<std::int64_t>(i)) * elements[i];
  return sum;
}

Tensor weights_like(const Tensor& output) {
  std::vector<double> weights(static_cast<std::size_t>(output.numel()));
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = weight(static_cast<std::int64_t>(i));
  return Tensor::from(weights, output.shape(), {.device = output.device(), .dtype = output.dtype()});
}

void nudge(const Tensor& t, std::int64_t i, double by) {
  if (t.dtype() == DType::f64)
    t.write<double>()[static_cast<std::size_t>(i)] += by;
  else
    t.write<float>()[static_cast<std::size_t>(i)] += static_cast<float>(by);
}

}  // namespace

void gradcheck(std::function<Tensor(std::span<const Tensor>)> function, std::vector<Tensor> inputs,
               GradcheckOptions options) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) {
    const bool checked = input.dtype() == DType::f64 || input.dtype() == DType::f32;
    if (is_floating(input.dtype()) && !checked)
      throw UserError(fmt::format("gradcheck: inputs are f64, or f32 for ops that know nothing else, not {}",
                                  to_string(input.info())));
    if (input.dtype() == DType::f32) {  // what differences of f32 results can resolve
      options.eps = std::max(options.eps, 5e-3);
      options.atol = std::max(options.atol, 2e-3);
      options.rtol = std::max(options.rtol, 2e-2);
    }
    Tensor leaf = input;
    if (checked) {
      leaf = input.dtype() == DType::f64
                 ? Tensor::from(input.read<double>(), input.shape(), {.dtype = DType::f64})
                 : Tensor::from(input.read<float>(), input.shape());
      leaf.set_requires_grad(true);
    }
    leaves.push_back(std::move(leaf));
  }
  std::vector<Tensor> wanted;
  for (const Tensor& leaf : leaves)
    if (leaf.requires_grad()) wanted.push_back(leaf);

  std::vector<Tensor> gradients;
  {
    Tape tape;
    const Tensor output = function(leaves);
    gradients = tape.gradients(output, wanted, {.seed = weights_like(output), .allow_unused = true});
  }
  std::size_t next = 0;
  for (std::size_t k = 0; k < leaves.size(); ++k) {
    const Tensor& leaf = leaves[k];
    if (!leaf.requires_grad()) continue;
    const Tensor& gradient = gradients[next++];
    const std::vector<double> analytic =
        gradient.defined() ? gradient.to_vector()
                           : std::vector<double>(static_cast<std::size_t>(leaf.numel()), 0.0);
    for (std::int64_t i = 0; i < leaf.numel(); ++i) {
      const double before = leaf.to_vector()[static_cast<std::size_t>(i)];
      nudge(leaf, i, options.eps);
      const double above_at = leaf.to_vector()[static_cast<std::size_t>(i)];
      const double above = weighted_sum(function(leaves));
      nudge(leaf, i, before - options.eps - above_at);
      const double below_at = leaf.to_vector()[static_cast<std::size_t>(i)];
      const double below = weighted_sum(function(leaves));
      nudge(leaf, i, before - below_at);
      const double numeric = (above - below) / (above_at - below_at);
      const double found = analytic[static_cast<std::size_t>(i)];
      if (!(std::abs(found - numeric) <= options.atol + options.rtol * std::abs(numeric)))
        throw Error(fmt::format(
            "gradcheck: input {} element {}: backward gives {:.10g}, central differences give {:.10g}", k, i,
            found, numeric));
    }
  }
}

}  // namespace reprise
