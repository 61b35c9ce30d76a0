#pragma once
// attention: y = softmax(scale q k^T + mask) v, per head (Vaswani et al., 2017), without the matrix of weights.
//
// q [batch, queries, heads, head_dim], k and v [batch, keys, key heads, head_dim], y as q; dtypes equal and floating.
// PyTorch's scaled_dot_product_attention has heads before the sequence. heads is a multiple of key heads. Each of
// these serves as many query heads in a row (grouped queries, PyTorch's enable_gqa). A query that sees no key
// gets 0, and all its gradients are 0. NaN or infinity in a key or value that a query does not see changes nothing for
// that query, forward and backward.
//
// The weights are made tile by tile with a running maximum and sum (online softmax, Milakov and Gimelshein, 2018; Dao
// et al., "FlashAttention", 2022) and made again for the gradient, so memory is linear in the sequence. The logarithm
// of each row's sum of exponentials is a second output, [batch, heads, queries] of statistics_dtype, that carries no
// gradient. Saves the inputs and both outputs. The gradient op has no gradient.
#include <optional>

#include "reprise/core/kernel_slot.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"

namespace reprise {

struct AttentionOptions {
  bool causal = false;  // query i sees keys 0..i only
  // Of the weights, at any time it is called: pass 0 in evaluation. Weights are zeroed by address (core/random.h),
  // as in dropout; no mask is stored.
  double dropout = 0.0;
  // Broadcasts to [batch, heads, queries, keys]. boolean: a query sees the keys where it is true. A mask of
  // statistics_dtype(q) is added to the scores, and minus infinity hides the key. It carries no gradient (UserError if
  // it requires one).
  Tensor mask = {};
  std::optional<double> scale = {};  // 1 / sqrt(head_dim)
};
Tensor attention(Tensor q, Tensor k, Tensor v, AttentionOptions options = {});

// The same from a projection that holds all three, [batch, sequence, 3, heads, head_dim]: read as it lies, and its
// gradient is one tensor. y [batch, sequence, heads, head_dim].
Tensor attention_qkv(Tensor qkv, AttentionOptions options = {});

// Kernels, by q's dtype.

struct AttentionShape {
  std::int64_t batch = 0, queries = 0, keys = 0, heads = 0, key_heads = 0, head_dim = 0;
};
struct AttentionSettings {
  bool causal = false;
  double dropout = 0.0, scale = 1.0;
  // The weight of (batch entry b, head h, query i, key j) draws word
  // offset + ((b * heads + h) * queries + i) * (keys rounded up to a multiple of 4) + j.
  RandomAddress random;
};
// q, k, v or a gradient of one, alone or as a third of a packed projection: element d of position i and head h of batch
// entry b is number (b * positions + i) * row + first + h * head_dim + d.
template <class V>
struct HeadRows {
  V values;
  std::int64_t first = 0, row = 0;
};
struct AttentionArgs {
  AttentionShape shape;
  AttentionSettings settings;
  HeadRows<ConstView> q, k, v;
  ConstView mask;  // optional: info is null without
  View y, lse;
};
// With p = exp(scale q k^T + mask - lse), r the dropout's factor (0 or 1 / (1 - dropout)), delta = sum(dy y) per row:
//   dv = (p r)^T dy,   ds = p (r (dy v^T) - delta),   dq = scale ds k,   dk = scale ds^T q
struct AttentionBackwardArgs {
  AttentionShape shape;
  AttentionSettings settings;
  HeadRows<ConstView> q, k, v;
  ConstView mask;  // optional
  ConstView dy, y, lse;
  HeadRows<View> dq, dk, dv;  // optional, each
};
extern KernelSlot<AttentionArgs> attention_slot;
extern KernelSlot<AttentionBackwardArgs> attention_backward_slot;

}  // namespace reprise
