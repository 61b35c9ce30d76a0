#include "reprise/nn/conv2d.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/nn/init.h"
#include "reprise/ops/conv2d.h"

namespace reprise::nn {

Conv2d::Conv2d(std::int64_t in, std::int64_t out, Conv2dOptions o) : options(o) {
  if (in < 1 || out < 1 || o.kernel_size.h < 1 || o.kernel_size.w < 1)
    throw UserError(fmt::format("nn::Conv2d({}, {}) with kernel {}x{}: all extents are at least 1", in, out,
                                o.kernel_size.h, o.kernel_size.w));
  if (o.groups < 1 || in % o.groups != 0 || out % o.groups != 0)
    throw UserError(fmt::format("nn::Conv2d({}, {}): groups = {} does not divide both", in, out, o.groups));
  weight = init::kaiming_uniform({out, o.kernel_size.h, o.kernel_size.w, in / o.groups}, std::sqrt(5.0));
  const double bound = 1.0 / std::sqrt(static_cast<double>(init::fan(weight.shape()).in));
  if (o.bias) bias = init::uniform({out}, -bound, bound);
}

Tensor Conv2d::operator()(Tensor x) {
  return conv2d(std::move(x), weight, bias,
                {.stride = options.stride,
                 .padding = options.padding,
                 .dilation = options.dilation,
                 .groups = options.groups});
}

void Conv2d::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
}

}  // namespace reprise::nn
