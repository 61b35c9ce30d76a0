#pragma once
// attention: softmax(q k^T / sqrt(head_dim)) v, per head (Vaswani et al., 2017).
//
// q [batch, queries, heads, head_dim], k and v [batch, keys, heads, head_dim], y as q: PyTorch's
// scaled_dot_product_attention has heads before the sequence. causal: query i sees keys 0..i only. dropout:
// of the attention weights, at any time it is called: pass 0 in evaluation. A composition of permute, matmul,
// softmax and dropout: it keeps what these save.
#include "reprise/core/tensor.h"

namespace reprise {

struct AttentionOptions {
  bool causal = false;
  double dropout = 0.0;
};
Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options = {});

}  // namespace reprise
