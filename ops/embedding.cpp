#include "reprise/ops/embedding.h"

#include <fmt/format.h>

#include "reprise/ops/class_targets.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<EmbeddingArgs> embedding_slot{"embedding"};
constinit KernelSlot<EmbeddingBackwardArgs> embedding_backward_slot{"embedding_backward"};

namespace {

void require_ids(const char* op, const ValueInfo& ids) {
  if (ids.dtype != DType::i64)
    throw UserError(fmt::format("{}: ids are {} but must be i64 row numbers: convert with .to(DType::i64)",
                                op, to_string(ids.dtype)));
}

struct Embedding final : KernelOp<EmbeddingArgs> {
  Embedding() : KernelOp("embedding", embedding_slot, 1) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo &ids = in[0], &w = in[1];
    require_ids("embedding", ids);
    require_floating("embedding", w);
    if (w.shape.rank() != 2)
      throw UserError(fmt::format("embedding: w {} must be [vocabulary, width]", to_string(w.shape)));
    return {{ids.shape.append(w.shape[1]), w.dtype, w.device}};
  }
  EmbeddingArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0]};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    require_in_range("embedding", "id", in[0], in[1].info->shape[0], nullptr);
    KernelOp::forward(in, out, workspace);
  }
  Saved saves(Needs) const override { return {.inputs = {0}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    result[1] = embedding_backward(gradients[0], context.inputs[0], context.infos[1].shape[0]);
    return result;
  }
};

// Inputs dy, ids; output dw. Linear, so its gradient is embedding again.
struct EmbeddingBackward final : KernelOp<EmbeddingBackwardArgs> {
  std::int64_t vocabulary;
  explicit EmbeddingBackward(std::int64_t v)
      : KernelOp("embedding_backward", embedding_backward_slot), vocabulary(v) {}

  std::string attributes() const override { return fmt::format("vocabulary={}", vocabulary); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo &dy = in[0], &ids = in[1];
    require_ids("embedding_backward", ids);
    require_floating("embedding_backward", dy);
    if (dy.shape.rank() < 1 || !(dy.shape.without(-1) == ids.shape))
      throw UserError(fmt::format(
          "embedding_backward: dy {} and ids {} do not fit: dy is [.., width], ids the leading shape",
          to_string(dy.shape), to_string(ids.shape)));
    return {{{vocabulary, dy.shape[-1]}, statistics_dtype(dy.dtype), dy.device}};
  }
  EmbeddingBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0]};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    require_in_range("embedding_backward", "id", in[1], vocabulary, nullptr);
    KernelOp::forward(in, out, workspace);
  }
  Saved saves(Needs) const override { return {.inputs = {1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    result[0] = embedding(context.inputs[1], gradients[0]);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor embedding(Tensor ids, Tensor w) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Embedding>();
  return record(op, std::move(ids), std::move(w));
}

Tensor embedding_backward(Tensor dy, Tensor ids, std::int64_t vocabulary) {
  return record(EmbeddingBackward(vocabulary), std::move(dy), std::move(ids));
}

}  // namespace reprise
