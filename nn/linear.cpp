#include "reprise/nn/linear.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/nn/init.h"
#include "reprise/ops/linear.h"

namespace reprise::nn {

Linear::Linear(std::int64_t in, std::int64_t out, LinearOptions options) {
  if (in < 1 || out < 1)
    throw UserError(fmt::format("nn::Linear({}, {}): both extents are at least 1", in, out));
  weight = init::kaiming_uniform({out, in}, std::sqrt(5.0));
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  if (options.bias) bias = init::uniform({out}, -bound, bound);
}

Tensor Linear::operator()(Tensor x) { return linear(std::move(x), weight, bias); }

void Linear::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
}

}  // namespace reprise::nn
