#include "reprise/ops/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/ops/dropout.h"
#include "reprise/ops/matmul.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/permute.h"
#include "reprise/ops/softmax.h"

namespace reprise {

Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
  const Shape &sq = q.shape(), &sk = k.shape(), &sv = v.shape();
  const bool fits =
      sq.rank() == 4 && sk == sv && sk.rank() == 4 && sq[0] == sk[0] && sq[2] == sk[2] && sq[3] == sk[3];
  if (!fits)
    throw UserError(fmt::format(
        "attention: q {}, k {} and v {} do not fit: q is [batch, queries, heads, head_dim], k and v are "
        "[batch, keys, heads, head_dim]",
        to_string(sq), to_string(sk), to_string(sv)));
  const double scale = 1.0 / std::sqrt(static_cast<double>(sq[3]));
  const Dims heads_first = {0, 2, 1, 3};  // and back
  Tensor scores = matmul(permute(std::move(q) * scale, heads_first), permute(std::move(k), heads_first),
                         {.transpose_a = false, .transpose_b = true});
  Tensor weights = options.causal ? causal_softmax(std::move(scores)) : softmax(std::move(scores), -1);
  weights = dropout(std::move(weights), options.dropout);
  return permute(matmul(std::move(weights), permute(std::move(v), heads_first)), heads_first);
}

}  // namespace reprise
