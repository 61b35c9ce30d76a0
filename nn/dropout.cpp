#include "reprise/nn/dropout.h"

#include <fmt/format.h>

#include "reprise/ops/dropout.h"

namespace reprise::nn {

Dropout::Dropout(double probability) : p(probability) {
  if (!(p >= 0.0 && p <= 1.0)) throw UserError(fmt::format("nn::Dropout({}): p is in [0, 1]", p));
}

Tensor Dropout::operator()(Tensor x) { return trains("nn::Dropout") ? dropout(std::move(x), p) : x; }

void Dropout::visit(Visitor&) {}

}  // namespace reprise::nn
