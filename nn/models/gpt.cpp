#include "reprise/nn/models/gpt.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "reprise/nn/embedding.h"
#include "reprise/nn/init.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {
namespace {

struct GptStem : ModelBlock {
  Embedding tokens, positions;
  Dropout drop;
  explicit GptStem(const GptOptions& options)
      : tokens(options.vocabulary, options.width),
        positions(options.context, options.width),
        drop(options.dropout) {}
  Tensor operator()(Tensor ids) override {
    const std::int64_t context = positions.weight.size(0);
    if (ids.shape().rank() != 2 || ids.size(1) > context)
      throw UserError(fmt::format("gpt: ids {} must be [batch, tokens] with at most {} tokens, the context",
                                  to_string(ids.shape()), context));
    Tensor places = positions.weight.slice(0, ids.size(1));
    return drop(tokens(std::move(ids)) + std::move(places));
  }
  void visit(Visitor& visitor) override {
    visitor("tokens", tokens);
    visitor("positions", positions);
    visitor("drop", drop);
  }
};

struct GptHead : ModelBlock {
  LayerNorm norm;
  std::optional<Linear> head;
  Tensor tied;  // instead of the head
  GptHead(const GptOptions& options, const Tensor& token_weight) : norm(options.width) {
    if (options.tied_head)
      tied = token_weight;
    else
      head.emplace(options.width, options.vocabulary, LinearOptions{.bias = false});
  }
  Tensor operator()(Tensor x) override {
    Tensor h = norm(std::move(x));
    return head ? (*head)(std::move(h)) : linear(std::move(h), tied);
  }
  void visit(Visitor& visitor) override {
    visitor("norm", norm);
    visitor("head", head);
    visitor("head.weight", tied);
  }
};

// As in GPT-2.
void begin_normal(Linear& layer, double std) {
  layer.weight = init::normal(layer.weight.shape(), 0.0, std);
  if (layer.bias.defined()) layer.bias = init::constant(layer.bias.shape(), 0.0);
}

}  // namespace

GptBlock::GptBlock(std::int64_t width, std::int64_t h, double dropout)
    : norm1(width),
      qkv(width, 3 * width),
      proj(width, width),
      norm2(width),
      up(width, 4 * width),
      down(4 * width, width),
      drop(dropout),
      heads(h) {}

Tensor GptBlock::operator()(Tensor x) {
  const std::int64_t batch = x.size(0), tokens = x.size(1), width = x.size(2);
  Tensor a =
      attention_qkv(qkv(norm1(x)).reshape({batch, tokens, 3, heads, width / heads}),
                    {.causal = true, .dropout = drop.p > 0.0 && trains("nn::GptBlock") ? drop.p : 0.0});
  Tensor y = std::move(x) + drop(proj(std::move(a).reshape({batch, tokens, width})));
  return y + drop(down(gelu(up(norm2(y)), {.approximate = Approximate::tanh})));
}

void GptBlock::visit(Visitor& visitor) {
  visitor("norm1", norm1);
  visitor("qkv", qkv);
  visitor("proj", proj);
  visitor("norm2", norm2);
  visitor("up", up);
  visitor("down", down);
  visitor("drop", drop);
}

Model make_gpt(const GptOptions& options, std::string name) {
  if (options.vocabulary < 1 || options.context < 1 || options.layers < 1 || options.heads < 1 ||
      options.width < 1 || options.width % options.heads != 0)
    throw UserError(fmt::format(
        "{}: vocabulary {}, context {}, layers {}, width {}, heads {}: each is at least 1, and the "
        "heads divide the width",
        name, options.vocabulary, options.context, options.layers, options.width, options.heads));
  auto stem = std::make_unique<GptStem>(options);
  const double std = options.initial_std;
  if (std > 0) {
    stem->tokens.weight = init::normal(stem->tokens.weight.shape(), 0.0, std);
    stem->positions.weight = init::normal(stem->positions.weight.shape(), 0.0, std);
  }
  std::vector<Model::NamedBlock> blocks;
  for (std::int64_t i = 0; i < options.layers; ++i) {
    auto block = std::make_unique<GptBlock>(options.width, options.heads, options.dropout);
    if (std > 0) {
      const double branch_end = std / std::sqrt(2.0 * static_cast<double>(options.layers));
      begin_normal(block->qkv, std);
      begin_normal(block->proj, branch_end);
      begin_normal(block->up, std);
      begin_normal(block->down, branch_end);
    }
    blocks.push_back({fmt::format("blocks.{}", i), std::move(block)});
  }
  auto head = std::make_unique<GptHead>(options, stem->tokens.weight);
  if (std > 0 && head->head) begin_normal(*head->head, std);
  return Model(std::move(name), {.shape = {options.context}, .dtype = DType::i64}, options.vocabulary,
               std::move(stem), std::move(blocks), std::move(head));
}

GptOptions gpt2_options(std::string_view name) {
  struct Size {
    std::string_view name;
    std::int64_t layers, width, heads;
  };
  constexpr std::array<Size, 4> kSizes = {{{"gpt2-124m", 12, 768, 12},
                                           {"gpt2-350m", 24, 1024, 16},
                                           {"gpt2-774m", 36, 1280, 20},
                                           {"gpt2-1.5b", 48, 1600, 25}}};
  for (const Size& size : kSizes)
    if (size.name == name)
      return {.vocabulary = 50257,
              .context = 1024,
              .layers = size.layers,
              .width = size.width,
              .heads = size.heads,
              .tied_head = true,
              .initial_std = 0.02};
  throw UserError(
      fmt::format("no GPT-2 \"{}\"; there are gpt2-124m, gpt2-350m, gpt2-774m and gpt2-1.5b", name));
}

}  // namespace reprise::nn
