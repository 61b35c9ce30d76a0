#include "reprise/nn/multihead_attention.h"

#include <fmt/format.h>

#include "reprise/nn/init.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {

MultiheadAttention::MultiheadAttention(std::int64_t width, std::int64_t h, MultiheadAttentionOptions o)
    : out_proj(width, width, {.bias = o.bias}), heads(h), options(o) {
  if (heads < 1 || width % heads != 0)
    throw UserError(fmt::format("nn::MultiheadAttention({}, {}): the heads divide the width", width, heads));
  in_proj_weight = init::xavier_uniform({3 * width, width});
  if (!options.bias) return;
  in_proj_bias = init::constant({3 * width}, 0.0);
  out_proj.bias = init::constant({width}, 0.0);
}

Tensor MultiheadAttention::operator()(Tensor x, AttentionMask mask) {
  const std::int64_t batch = x.size(0), sequence = x.size(1), width = x.size(2);
  Tensor qkv = linear(std::move(x), in_proj_weight, in_proj_bias);
  Tensor a = attention_qkv(std::move(qkv).reshape({batch, sequence, 3, heads, width / heads}),
                           {.causal = mask.causal, .dropout = dropout_now(), .mask = std::move(mask.mask)});
  return out_proj(std::move(a).reshape({batch, sequence, width}));
}

Tensor MultiheadAttention::operator()(Tensor queries, Tensor memory, AttentionMask mask) {
  const std::int64_t batch = queries.size(0), sequence = queries.size(1), width = queries.size(2);
  const auto projected = [&](Tensor x, std::int64_t first) {
    const std::int64_t positions = x.size(1);
    const Tensor bias =
        in_proj_bias.defined() ? in_proj_bias.slice(first * width, (first + 1) * width) : Tensor();
    return linear(std::move(x), in_proj_weight.slice(first * width, (first + 1) * width), bias)
        .reshape({batch, positions, heads, width / heads});
  };
  Tensor q = projected(std::move(queries), 0), k = projected(memory, 1), v = projected(std::move(memory), 2);
  Tensor a = attention(std::move(q), std::move(k), std::move(v),
                       {.causal = mask.causal, .dropout = dropout_now(), .mask = std::move(mask.mask)});
  return out_proj(std::move(a).reshape({batch, sequence, width}));
}

void MultiheadAttention::visit(Visitor& visitor) {
  visitor("in_proj_weight", in_proj_weight);
  visitor("in_proj_bias", in_proj_bias);
  visitor("out_proj", out_proj);
}

}  // namespace reprise::nn
