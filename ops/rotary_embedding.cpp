#include "reprise/ops/rotary_embedding.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"

namespace reprise {

constinit KernelSlot<RotaryEmbeddingArgs> rotary_embedding_slot{"rotary_embedding"};

namespace {

struct RotaryEmbedding final : KernelOp<RotaryEmbeddingArgs> {
  RotaryEmbeddingOptions options;
  bool back;
  RotaryEmbedding(RotaryEmbeddingOptions o, bool b)
      : KernelOp("rotary_embedding", rotary_embedding_slot), options(o), back(b) {}

  std::string attributes() const override {
    return fmt::format("base={} first={} back={}", options.base, options.first, back);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo& x = in[0];
    require_floating("rotary_embedding", x);
    if (x.shape.rank() != 4 || x.shape[3] % 2 != 0)
      throw UserError(fmt::format(
          "rotary_embedding: x {} must be [batch, sequence, heads, head_dim] with an even head_dim",
          to_string(x.shape)));
    if (!(options.base > 0))
      throw UserError(fmt::format("rotary_embedding: base {} must be positive", options.base));
    return {x};
  }
  RotaryEmbeddingArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], options, back, out[0]};
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return tensors(record(RotaryEmbedding(options, !back), gradients[0]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 3.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor rotary_embedding(Tensor x, RotaryEmbeddingOptions options) {
  return record(RotaryEmbedding(options, false), std::move(x));
}

}  // namespace reprise
