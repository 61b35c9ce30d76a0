#pragma once
#include <optional>
#include <vector>

#include "reprise/core/tensor.h"

namespace reprise::optim {

// Parameters that share settings. Without a value of its own a group follows the optimizer's options:
//
//   optim::AdamW optimizer({{.parameters = weights}, {.parameters = norms, .weight_decay = 0.0}}, {.lr = 3e-4});
struct ParamGroup {
  std::vector<Tensor> parameters = {};
  std::optional<double> lr = {};
  std::optional<double> weight_decay = {};
};

}  // namespace reprise::optim
