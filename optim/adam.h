#pragma once
// Adam (Kingma and Ba, 2015), PyTorch's formulas. In a parameter's step t, from 1 on:
//
//   g = gradient + weight_decay p
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// AdamW (adamw.h) is the same but for its weight decay.
#include <array>

#include "reprise/ops/adam_update.h"
#include "reprise/optim/optimizer.h"

namespace reprise::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
};

// What Adam and AdamW share. State: "m" and "v".
class AdamFamily : public Optimizer {
 public:
  void step() override;

 protected:
  AdamFamily(const char* name, std::vector<ParamGroup> groups, AdamOptions options, WeightDecay weight_decay);

 private:
  AdamOptions options_;
  WeightDecay weight_decay_kind_;
};

class Adam final : public AdamFamily {
 public:
  explicit Adam(std::vector<ParamGroup> groups, AdamOptions options = {});
  explicit Adam(std::vector<Tensor> parameters, AdamOptions options = {});
};

}  // namespace reprise::optim
