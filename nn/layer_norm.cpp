#include "reprise/nn/layer_norm.h"

#include <fmt/format.h>

#include "reprise/nn/init.h"
#include "reprise/ops/layer_norm.h"

namespace reprise::nn {

LayerNorm::LayerNorm(std::int64_t width, LayerNormOptions o) : options(o) {
  if (width < 1) throw UserError(fmt::format("nn::LayerNorm({}): the width is at least 1", width));
  weight = init::constant({width}, 1.0);
  bias = init::constant({width}, 0.0);
}

Tensor LayerNorm::operator()(Tensor x) { return layer_norm(std::move(x), weight, bias, options.eps); }

void LayerNorm::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
}

}  // namespace reprise::nn
