#pragma once
// Text from a language model, one token after the other.
#include <cstdint>
#include <functional>
#include <vector>

#include "reprise/nn/models/model.h"

namespace reprise::nn {

struct GenerateOptions {
  std::int64_t tokens = 100;
  // Logits are divided by it before softmax: below 1 safer, above 1 bolder. 0: greedy, always the likeliest token.
  double temperature = 1.0;
  std::int64_t top_k = 0;  // choose among the k likeliest only; 0: among all
  std::uint64_t seed = 0;
  std::function<void(std::int64_t token)> each = {};  // called as soon as a token is there
};

// The tokens that follow `prompt`, which has at least one. The model reads ids (nn/models/gpt.h) and sees the last
// input_shape()[0] tokens. Nothing is recorded. The model is in evaluation mode meanwhile; afterwards each of its modules
// has its own mode again, also after an error. A pure function of weights, prompt and options.
// UserError for an empty prompt, a model that does not read tokens and options out of range. Logits must have an order:
// UserError for NaN, for +infinity, and if every logit is -infinity.
std::vector<std::int64_t> generate(Model& model, const std::vector<std::int64_t>& prompt,
                                   GenerateOptions options = {});

}  // namespace reprise::nn
