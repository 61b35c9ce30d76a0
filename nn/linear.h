#pragma once
#include <cstdint>

#include "reprise/nn/module.h"

namespace reprise::nn {

struct LinearOptions {
  bool bias = true;
};

// y = x weight^T + bias: x [.., in], y [.., out], weight [out, in], bias [out]. Both begin as
// U(-1/sqrt(in), 1/sqrt(in)), as in PyTorch.
struct Linear : Module {
  Tensor weight, bias;
  Linear(std::int64_t in, std::int64_t out, LinearOptions options = {});
  Tensor operator()(Tensor x);
  void visit(Visitor& visitor) override;
};

}  // namespace reprise::nn
