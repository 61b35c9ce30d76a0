#include "reprise/autograd/op.h"

#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise {

std::vector<Tensor> Op::backward(const Context&, std::span<const Tensor>) const {
  throw UserError(fmt::format("{} has no gradient: detach() its input, or give the op a backward", name()));
}

}  // namespace reprise
