#pragma once
// AdamW (Loshchilov and Hutter, 2019), PyTorch's formulas: Adam (adam.h) on the gradient alone, after the parameter
// was decayed, p = (1 - lr weight_decay) p.
#include "reprise/optim/adam.h"

namespace reprise::optim {

struct AdamWOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
};

class AdamW final : public AdamFamily {
 public:
  explicit AdamW(std::vector<ParamGroup> groups, AdamWOptions options = {});
  explicit AdamW(std::vector<Tensor> parameters, AdamWOptions options = {});
};

}  // namespace reprise::optim
