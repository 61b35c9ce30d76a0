#include "reprise/nn/models/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "reprise/autograd/op.h"
#include "reprise/core/random.h"
#include "reprise/nn/eval_mode.h"

namespace reprise::nn {
namespace {

// The logits of what follows the last of these tokens. Their number is rounded up by tokens that a causal model does not
// look at, so that few shapes occur: kernels are made once for each.
std::vector<double> next_logits(Model& model, std::span<const std::int64_t> tokens, Device device) {
  constexpr std::int64_t kStep = 64;
  const std::int64_t count = std::ssize(tokens);
  const std::int64_t padded = std::min((count + kStep - 1) / kStep * kStep, model.input_shape()[0]);
  std::vector<std::int64_t> ids(tokens.begin(), tokens.end());
  ids.resize(static_cast<std::size_t>(padded), ids.back());
  const Tensor logits = model(Tensor::from(ids, {1, padded}, {.device = device, .dtype = DType::i64}));
  return logits.reshape({padded, model.classes()})[count - 1].to_vector();
}

// A token of logit -infinity is never chosen; any other logit must be finite.
void check_logits(const std::vector<double>& logits, std::int64_t place) {
  bool possible = false;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    const double logit = logits[token];
    possible = possible || std::isfinite(logit);
    if (std::isnan(logit) || (std::isinf(logit) && logit > 0))
      throw UserError(
          fmt::format("generate: the logit of token {} at place {} is {}: check the weights, for they have "
                      "probably diverged",
                      token, place, logit));
  }
  if (!possible)
    throw UserError(
        fmt::format("generate: every logit at place {} is -infinity: no token can be chosen", place));
}

// `uniform` in [0, 1) chooses.
std::int64_t choose(const std::vector<double>& logits, const GenerateOptions& options, double uniform) {
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](std::int64_t token) { return logits[static_cast<std::size_t>(token)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return logit(a) > logit(b); });
  if (options.temperature == 0) return order.front();
  if (options.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(options.top_k)));
  std::vector<double> weights;
  for (const std::int64_t token : order)
    weights.push_back(std::exp((logit(token) - logit(order.front())) / options.temperature));
  double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order.back();
}

}  // namespace

std::vector<std::int64_t> generate(Model& model, const std::vector<std::int64_t>& prompt,
                                   GenerateOptions options) {
  if (model.input_dtype() != DType::i64 || model.input_shape().rank() != 1)
    throw UserError(fmt::format("generate: {} does not read tokens", model.name()));
  if (prompt.empty()) throw UserError("generate: the prompt has no token; give at least one");
  if (!(options.temperature >= 0) || options.top_k < 0 || options.tokens < 0)
    throw UserError(fmt::format("generate: temperature {}, top_k {}, tokens {}: none can be negative",
                                options.temperature, options.top_k, options.tokens));
  const NoGrad no_grad;
  const EvalMode eval(model);
  const auto context = static_cast<std::size_t>(model.input_shape()[0]);
  const Device device = model.parameters().front().device();
  std::vector<std::int64_t> all = prompt;
  for (std::int64_t i = 0; i < options.tokens; ++i) {
    const std::size_t seen = std::min(all.size(), context);
    const std::vector<double> logits = next_logits(model, std::span(all).last(seen), device);
    check_logits(logits, std::ssize(all));
    const std::uint32_t word = random_word(options.seed, static_cast<std::uint64_t>(i));
    all.push_back(choose(logits, options, static_cast<double>(word) * 0x1p-32));
    if (options.each) options.each(all.back());
  }
  return {all.begin() + std::ssize(prompt), all.end()};
}

}  // namespace reprise::nn
