#pragma once
// A decoder-only Transformer over tokens (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019): token
// and learned position embeddings, blocks that normalize first, a norm and a linear head without bias.
#include <cstdint>
#include <string>
#include <string_view>

#include "reprise/nn/dropout.h"
#include "reprise/nn/layer_norm.h"
#include "reprise/nn/linear.h"
#include "reprise/nn/models/model.h"

namespace reprise::nn {

struct GptOptions {
  std::int64_t vocabulary = 65;
  std::int64_t context = 256;  // the most tokens that it reads at once
  std::int64_t layers = 6;
  std::int64_t width = 384;
  std::int64_t heads = 6;
  double dropout = 0.0;    // of the embeddings, the attention weights and both branches of a block
  bool tied_head = false;  // the head's weight is the token embedding's
  // Weights begin as PyTorch's layers do; above 0 as GPT-2's: N(0, s^2), s / sqrt(2 layers) where a branch ends, biases 0.
  double initial_std = 0.0;
};

// x + drop(proj(attention(qkv(norm1(x))))), causal; then y + drop(down(gelu(up(norm2(y))))), GELU by tanh, up to 4 width:
// [batch, tokens, width] to the same. qkv holds the three projections one after the other.
struct GptBlock : ModelBlock {
  LayerNorm norm1;
  Linear qkv, proj;
  LayerNorm norm2;
  Linear up, down;
  Dropout drop;
  std::int64_t heads;
  GptBlock(std::int64_t width, std::int64_t heads, double dropout);
  Tensor operator()(Tensor x) override;
  void visit(Visitor& visitor) override;
};

// ids i64 [batch, tokens], tokens at most options.context (UserError), to logits [batch, tokens, vocabulary]. A logit depends on
// the tokens up to its own place. Parameters: tokens, positions, blocks.N.{norm1, qkv, proj, norm2, up, down}, norm, head.
Model make_gpt(const GptOptions& options = {}, std::string name = "gpt");

// GPT-2's shapes, with its 50257 tokens, context of 1024, tied head and initial weights: "gpt2-124m", "gpt2-350m", "gpt2-774m",
// "gpt2-1.5b". UserError for another name.
GptOptions gpt2_options(std::string_view name);

}  // namespace reprise::nn
