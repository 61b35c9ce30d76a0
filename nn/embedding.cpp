#include "reprise/nn/embedding.h"

#include <fmt/format.h>

#include "reprise/nn/init.h"
#include "reprise/ops/embedding.h"

namespace reprise::nn {

Embedding::Embedding(std::int64_t vocabulary, std::int64_t width) {
  if (vocabulary < 1 || width < 1)
    throw UserError(fmt::format("nn::Embedding({}, {}): both extents are at least 1", vocabulary, width));
  weight = init::normal({vocabulary, width}, 0.0, 1.0);
}

Tensor Embedding::operator()(Tensor ids) { return embedding(std::move(ids), weight); }

void Embedding::visit(Visitor& visitor) { visitor("weight", weight); }

}  // namespace reprise::nn
