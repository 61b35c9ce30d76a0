#pragma once
// Stochastic gradient descent with momentum, PyTorch's formulas:
//
//   g = gradient + weight_decay p
//   b = momentum b + g         (b = g in a parameter's first step)
//   p = p - lr b               (nesterov: p - lr (g + momentum b); without momentum: p - lr g)
#include "reprise/optim/optimizer.h"

namespace reprise::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;  // 0: no state
  double weight_decay = 0;
  bool nesterov = false;  // needs momentum (UserError)
};

class SGD final : public Optimizer {
 public:
  explicit SGD(std::vector<ParamGroup> groups, SGDOptions options = {});
  explicit SGD(std::vector<Tensor> parameters, SGDOptions options = {});
  void step() override;

 private:
  SGDOptions options_;
};

}  // namespace reprise::optim
