#pragma once
#include <cstdint>

#include "reprise/nn/linear.h"

namespace reprise::nn {

struct MultiheadAttentionOptions {
  double dropout = 0.0;  // of the attention weights, in training
  bool bias = true;
};

struct AttentionMask {
  bool causal = false;  // position i sees positions 0..i only
  Tensor mask = {};     // AttentionOptions::mask (ops/attention.h)
};

// out_proj(attention(q, k, v)), with heads of width / heads (UserError unless it divides). The three projections are one
// weight, [3 width, width]: queries, keys, values. Names and initial values are PyTorch's; sequences lie in the second
// dimension (its batch_first).
struct MultiheadAttention : Module {
  Tensor in_proj_weight, in_proj_bias;
  Linear out_proj;
  std::int64_t heads;
  MultiheadAttentionOptions options;
  MultiheadAttention(std::int64_t width, std::int64_t heads, MultiheadAttentionOptions options = {});
  // x [batch, sequence, width] to itself, one projection read as it lies.
  Tensor operator()(Tensor x, AttentionMask mask = {});
  // queries [batch, queries, width] to memory [batch, keys, width].
  Tensor operator()(Tensor queries, Tensor memory, AttentionMask mask = {});
  void visit(Visitor& visitor) override;

 private:
  double dropout_now() {
    return options.dropout > 0.0 && trains("nn::MultiheadAttention") ? options.dropout : 0.0;
  }
};

}  // namespace reprise::nn
