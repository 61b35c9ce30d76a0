#include "reprise/ops/softmax.h"

#include <fmt/format.h>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/exp.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/mul.h"
#include "reprise/ops/neg.h"
#include "reprise/ops/sub.h"
#include "reprise/ops/sum.h"

namespace reprise {

constinit KernelSlot<SoftmaxArgs> softmax_slot{"softmax"};
constinit KernelSlot<SoftmaxBackwardArgs> softmax_backward_slot{"softmax_backward"};

namespace {

// x as [outer, extent, inner] around `dim`.
template <class Args>
void arrange(Args& args, const Shape& shape, int dim) {
  args.extent = shape[dim];
  for (int d = 0; d < dim; ++d) args.outer *= shape[d];
  for (int d = dim + 1; d < shape.rank(); ++d) args.inner *= shape[d];
}

Tensor sum_along(Tensor x, int dim) { return sum(std::move(x), {dim}, {.keepdim = true}); }

// Inputs dy, y; output dx.
struct SoftmaxBackward final : KernelOp<SoftmaxBackwardArgs> {
  int dim;
  bool log, causal;
  SoftmaxBackward(int d, bool l, bool c)
      : KernelOp(l ? "log_softmax_backward" : "softmax_backward", softmax_backward_slot),
        dim(d),
        log(l),
        causal(c) {}

  std::string attributes() const override { return fmt::format("dim={}", dim); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_shape(name(), in[0], in[1]);
    return {in[0]};
  }
  SoftmaxBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    SoftmaxBackwardArgs args{.dy = in[0], .y = in[1], .dx = out[0], .log = log};
    arrange(args, in[0].info->shape, dim);
    if (causal) args.causal_rows = in[0].info->shape[-2];
    return args;
  }
  Saved saves(Needs needs) const override {
    Saved saved;
    if (needs(1)) saved.inputs.push_back(0);
    saved.inputs.push_back(1);
    return saved;
  }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor &u = gradients[0], &dy = context.inputs[0], &y = context.inputs[1];
    std::vector<Tensor> result(2);
    if (context.needs(0)) {
      if (log)
        result[0] = u - sum_along(u * exp(y), dim);
      else
        result[0] = record(SoftmaxBackward(dim, false, causal), u, y);  // its matrix is symmetric
    }
    if (context.needs(1)) {
      if (log)
        result[1] = -(u * exp(y) * sum_along(dy, dim));
      else
        result[1] = u * (dy - sum_along(dy * y, dim)) - dy * sum_along(u * y, dim);
    }
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 4.0 * static_cast<double>(in[0].shape.numel());
  }
};

struct Softmax final : KernelOp<SoftmaxArgs> {
  int dim;
  bool log, causal;
  Softmax(int d, bool l, bool c)
      : KernelOp(l   ? "log_softmax"
                 : c ? "causal_softmax"
                     : "softmax",
                 softmax_slot),
        dim(d),
        log(l),
        causal(c) {}

  std::string attributes() const override { return fmt::format("dim={}", dim); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_floating(name(), in[0]);
    return {in[0]};
  }
  SoftmaxArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    SoftmaxArgs args{.x = in[0], .y = out[0], .log = log};
    arrange(args, in[0].info->shape, dim);
    if (causal) args.causal_rows = in[0].info->shape[-2];
    return args;
  }
  Saved saves(Needs) const override { return {.inputs = {}, .outputs = {0}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    return tensors(record(SoftmaxBackward(dim, log, causal), gradients[0], context.outputs[0]));
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 4.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor softmax(Tensor x, int dim) {
  dim = normalize_dim("softmax", dim, x.shape().rank());
  return record(Softmax(dim, false, false), std::move(x));
}

Tensor log_softmax(Tensor x, int dim) {
  dim = normalize_dim("log_softmax", dim, x.shape().rank());
  return record(Softmax(dim, true, false), std::move(x));
}

Tensor causal_softmax(Tensor scores) {
  const int rank = scores.shape().rank();
  if (rank < 2)
    throw UserError(
        fmt::format("causal_softmax: scores {} must be [.., queries, keys]", to_string(scores.shape())));
  return record(Softmax(rank - 1, false, true), std::move(scores));
}

}  // namespace reprise
