#pragma once
#include "reprise/nn/module.h"

namespace reprise::nn {

// In training each element is kept with probability 1 - p and divided by it, else 0; in evaluation x is returned.
// A module must name its Dropout in visit(); one that stands alone is told its mode by its own train() or eval(). Else the
// optimizer's step is a UserError, because evaluation would stay random.
struct Dropout : Module {
  double p;
  explicit Dropout(double p = 0.5);  // UserError outside [0, 1]
  Tensor operator()(Tensor x);
  void visit(Visitor& visitor) override;
};

}  // namespace reprise::nn
