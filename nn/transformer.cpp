#include "reprise/nn/transformer.h"

#include "reprise/ops/add.h"
#include "reprise/ops/gelu.h"
#include "reprise/ops/relu.h"

namespace reprise::nn {
namespace {

// x + drop(branch(x)), normalized before or after.
template <class Branch>
Tensor residual(Tensor x, LayerNorm& norm, Dropout& drop, bool norm_first, Branch branch) {
  if (norm_first) {
    Tensor h = drop(branch(norm(x)));
    return std::move(x) + std::move(h);
  }
  Tensor h = drop(branch(x));
  return norm(std::move(x) + std::move(h));
}

Tensor feed_forward(Tensor x, Linear& linear1, Linear& linear2, Dropout& drop, Activation activation) {
  Tensor h = linear1(std::move(x));
  h = activation == Activation::relu ? relu(std::move(h)) : gelu(std::move(h));
  return linear2(drop(std::move(h)));
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(std::int64_t width, std::int64_t heads,
                                                 TransformerLayerOptions o)
    : self_attn(width, heads, {.dropout = o.dropout}),
      linear1(width, o.feedforward),
      linear2(o.feedforward, width),
      norm1(width, {.eps = o.eps}),
      norm2(width, {.eps = o.eps}),
      drop(o.dropout),
      options(o) {}

Tensor TransformerEncoderLayer::operator()(Tensor x, AttentionMask mask) {
  return checkpoint::run(policy, [&] {
    Tensor y = residual(std::move(x), norm1, drop, options.norm_first,
                        [&](Tensor h) { return self_attn(std::move(h), std::move(mask)); });
    return residual(std::move(y), norm2, drop, options.norm_first, [&](Tensor h) {
      return feed_forward(std::move(h), linear1, linear2, drop, options.activation);
    });
  });
}

void TransformerEncoderLayer::visit(Visitor& visitor) {
  visitor("self_attn", self_attn);
  visitor("linear1", linear1);
  visitor("linear2", linear2);
  visitor("norm1", norm1);
  visitor("norm2", norm2);
  visitor("dropout", drop);
}

TransformerDecoderLayer::TransformerDecoderLayer(std::int64_t width, std::int64_t heads,
                                                 TransformerLayerOptions o)
    : self_attn(width, heads, {.dropout = o.dropout}),
      multihead_attn(width, heads, {.dropout = o.dropout}),
      linear1(width, o.feedforward),
      linear2(o.feedforward, width),
      norm1(width, {.eps = o.eps}),
      norm2(width, {.eps = o.eps}),
      norm3(width, {.eps = o.eps}),
      drop(o.dropout),
      options(o) {}

Tensor TransformerDecoderLayer::operator()(Tensor x, Tensor memory, AttentionMask mask,
                                           AttentionMask memory_mask) {
  return checkpoint::run(policy, [&] {
    Tensor y = residual(std::move(x), norm1, drop, options.norm_first,
                        [&](Tensor h) { return self_attn(std::move(h), std::move(mask)); });
    y = residual(std::move(y), norm2, drop, options.norm_first, [&](Tensor h) {
      return multihead_attn(std::move(h), std::move(memory), std::move(memory_mask));
    });
    return residual(std::move(y), norm3, drop, options.norm_first, [&](Tensor h) {
      return feed_forward(std::move(h), linear1, linear2, drop, options.activation);
    });
  });
}

void TransformerDecoderLayer::visit(Visitor& visitor) {
  visitor("self_attn", self_attn);
  visitor("multihead_attn", multihead_attn);
  visitor("linear1", linear1);
  visitor("linear2", linear2);
  visitor("norm1", norm1);
  visitor("norm2", norm2);
  visitor("norm3", norm3);
  visitor("dropout", drop);
}

}  // namespace reprise::nn
