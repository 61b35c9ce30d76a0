#pragma once
// The layers of an encoder and of a decoder (Vaswani et al., "Attention Is All You Need", 2017), with PyTorch's names and
// formulas. Each is a Block: nn::enable_checkpointing makes its call a region.
#include <cstdint>

#include "reprise/nn/block.h"
#include "reprise/nn/dropout.h"
#include "reprise/nn/layer_norm.h"
#include "reprise/nn/multihead_attention.h"

namespace reprise::nn {

enum class Activation { relu, gelu };

struct TransformerLayerOptions {
  std::int64_t feedforward = 2048;  // the width between linear1 and linear2
  double dropout = 0.1;
  Activation activation = Activation::relu;
  double eps = 1e-5;
  bool norm_first = false;  // normalize what a branch reads, not the sum that it ends in
};

// x [batch, sequence, width]: x = norm1(x + self_attn(x)), y = norm2(x + linear2(activation(linear1(x)))), with dropout
// in each branch; norm_first: x + branch(norm(x)).
struct TransformerEncoderLayer : Block {
  MultiheadAttention self_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2;
  Dropout drop;
  TransformerLayerOptions options;
  TransformerEncoderLayer(std::int64_t width, std::int64_t heads, TransformerLayerOptions options = {});
  Tensor operator()(Tensor x, AttentionMask mask = {});
  void visit(Visitor& visitor) override;
};

// The same with a second branch between the two, multihead_attn, that reads memory [batch, keys, width]. Causal where its
// mask says so.
struct TransformerDecoderLayer : Block {
  MultiheadAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  LayerNorm norm1, norm2, norm3;
  Dropout drop;
  TransformerLayerOptions options;
  TransformerDecoderLayer(std::int64_t width, std::int64_t heads, TransformerLayerOptions options = {});
  Tensor operator()(Tensor x, Tensor memory, AttentionMask mask = {.causal = true},
                    AttentionMask memory_mask = {});
  void visit(Visitor& visitor) override;
};

}  // namespace reprise::nn
