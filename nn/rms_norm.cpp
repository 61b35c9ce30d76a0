#include "reprise/nn/rms_norm.h"

#include <fmt/format.h>

#include "reprise/nn/init.h"
#include "reprise/ops/rms_norm.h"

namespace reprise::nn {

RMSNorm::RMSNorm(std::int64_t width, RMSNormOptions o) : options(o) {
  if (width < 1) throw UserError(fmt::format("nn::RMSNorm({}): the width is at least 1", width));
  weight = init::constant({width}, 1.0);
}

Tensor RMSNorm::operator()(Tensor x) { return rms_norm(std::move(x), weight, options.eps); }

void RMSNorm::visit(Visitor& visitor) { visitor("weight", weight); }

}  // namespace reprise::nn
