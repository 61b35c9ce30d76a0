#pragma once
#include <cstdint>

#include "reprise/nn/module.h"

namespace reprise::nn {

// Rows of weight [vocabulary, width] by their numbers: ids i64 [..], y [.., width]. weight begins as N(0, 1).
struct Embedding : Module {
  Tensor weight;
  Embedding(std::int64_t vocabulary, std::int64_t width);
  Tensor operator()(Tensor ids);
  void visit(Visitor& visitor) override;
};

}  // namespace reprise::nn
