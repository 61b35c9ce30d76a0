#include "reprise/ops/linear.h"

#include <fmt/format.h>

#include "reprise/ops/column_sum.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/matmul.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<LinearArgs> linear_slot{"linear"};
constinit KernelSlot<LinearBackwardWeightArgs> linear_backward_weight_slot{"linear_backward_weight"};

namespace {

double product_flops(const Shape& rows, std::int64_t columns) {  // rows [.., k] times [k, columns]
  return 2.0 * static_cast<double>(rows.numel()) * static_cast<double>(columns);
}

struct Linear final : KernelOp<LinearArgs> {
  Linear() : KernelOp("linear", linear_slot) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo &x = in[0], &w = in[1];
    for (std::size_t i = 1; i < in.size(); ++i) require_same_dtype("linear", x, in[i]);
    require_floating("linear", x);
    if (x.shape.rank() < 1 || w.shape.rank() != 2 || x.shape[-1] != w.shape[1])
      throw UserError(
          fmt::format("linear: x {} and w {} do not fit: w is [out, in] and x's last extent is in",
                      to_string(x.shape), to_string(w.shape)));
    if (in.size() == 3 && !(in[2].shape == Shape({w.shape[0]})))
      throw UserError(fmt::format("linear: b {} does not fit w {}: b is [out] = [{}]", to_string(in[2].shape),
                                  to_string(w.shape), w.shape[0]));
    return {{x.shape.with(-1, w.shape[0]), x.dtype, x.device}};
  }
  LinearArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in.size() == 3 ? in[2] : ConstView{}, out[0]};
  }
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor& g = gradients[0];
    std::vector<Tensor> result(context.infos.size());
    // The large one last: the workspace of the others is gone by then, and x where this was its last use.
    if (context.needs(1)) result[1] = linear_backward_weight(g, std::move(context.inputs[0]));
    if (result.size() == 3 && context.needs(2)) result[2] = column_sum(g);
    if (context.needs(0)) result[0] = matmul(g, context.inputs[1]);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return product_flops(in[0].shape, in[1].shape[0]);
  }
};

// Bilinear, as linear is: dw = dy^T x.
struct LinearBackwardWeight final : KernelOp<LinearBackwardWeightArgs> {
  LinearBackwardWeight() : KernelOp("linear_backward_weight", linear_backward_weight_slot) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    const ValueInfo &dy = in[0], &x = in[1];
    require_same_dtype("linear_backward_weight", dy, x);
    require_floating("linear_backward_weight", dy);
    if (dy.shape.rank() < 1 || x.shape.rank() < 1 ||
        dy.shape.without(-1).numel() != x.shape.without(-1).numel())
      throw UserError(
          fmt::format("linear_backward_weight: dy {} and x {} do not fit: their leading extents differ",
                      to_string(dy.shape), to_string(x.shape)));
    return {{{dy.shape[-1], x.shape[-1]}, statistics_dtype(x.dtype), x.device}};
  }
  LinearBackwardWeightArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0]};
  }
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor u = gradients[0].to(context.infos[0].dtype);  // [out, in]
    std::vector<Tensor> result(2);
    if (context.needs(0)) {
      Tensor ddy = linear(context.inputs[1], u);
      result[0] = ddy.shape() == context.infos[0].shape ? std::move(ddy)
                                                        : std::move(ddy).reshape(context.infos[0].shape);
    }
    if (context.needs(1)) {
      Tensor dx = matmul(context.inputs[0], u);
      result[1] = dx.shape() == context.infos[1].shape ? std::move(dx)
                                                       : std::move(dx).reshape(context.infos[1].shape);
    }
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return product_flops(in[0].shape, in[1].shape[-1]);
  }
};

}  // namespace

Tensor linear(Tensor x, Tensor w, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Linear>();
  if (!b.defined()) return record(op, std::move(x), std::move(w));
  return record(op, std::move(x), std::move(w), std::move(b));
}

Tensor linear_backward_weight(Tensor dy, Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const LinearBackwardWeight>();
  return record(op, std::move(dy), std::move(x));
}

}  // namespace reprise
