#pragma once
// How good a model is on samples that it was not trained on. Each module keeps its own mode.
#include <cstdint>

#include "reprise/cli/source.h"
#include "reprise/core/device.h"
#include "reprise/nn/models.h"

namespace reprise::cli {

// The share of the samples whose largest logit is the target's. UserError if a logit is NaN.
double accuracy(nn::Model& model, const Source& test, Device device);

// The mean loss of the text's validation windows, for each token. UserError if it is not finite.
double validation_loss(nn::Model& model, const Source& windows, std::int64_t batch_size, Device device);

}  // namespace reprise::cli
