#include "reprise/ops/nll_loss.h"

#include <fmt/format.h>

#include "reprise/ops/class_targets.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<NllLossArgs> nll_loss_slot{"nll_loss"};
constinit KernelSlot<NllLossBackwardArgs> nll_loss_backward_slot{"nll_loss_backward"};

namespace {

constexpr std::int64_t kIgnoreIndex = -100;

// Inputs dloss, targets; output dx. Linear, so its gradient is nll_loss again.
struct NllLossBackward final : KernelOp<NllLossBackwardArgs> {
  std::int64_t classes;
  explicit NllLossBackward(std::int64_t c)
      : KernelOp("nll_loss_backward", nll_loss_backward_slot), classes(c) {}

  std::string attributes() const override { return fmt::format("classes={}", classes); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    return {{in[1].shape.append(classes), in[0].dtype, in[0].device}};
  }
  NllLossBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], kIgnoreIndex};
  }
  Saved saves(Needs) const override { return {.inputs = {1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    result[0] = nll_loss(gradients[0], context.inputs[1]);
    return result;
  }
};

struct NllLoss final : KernelOp<NllLossArgs> {
  NllLoss() : KernelOp("nll_loss", nll_loss_slot) {}

  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_class_targets("nll_loss", in[0], in[1]);
    return {{Shape(), statistics_dtype(in[0].dtype), in[0].device}};
  }
  NllLossArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], kIgnoreIndex};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    require_in_range("nll_loss", "target", in[1], in[0].info->shape[-1], &kIgnoreIndex);
    KernelOp::forward(in, out, workspace);
  }
  Saved saves(Needs) const override { return {.inputs = {1}, .outputs = {}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    result[0] = record(NllLossBackward(context.infos[0].shape[-1]), gradients[0], context.inputs[1])
                    .to(context.infos[0].dtype);
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[1].shape.numel());
  }
};

}  // namespace

Tensor nll_loss(Tensor log_probabilities, Tensor targets) {
  static const std::shared_ptr<const Op> op = std::make_shared<const NllLoss>();
  return record(op, std::move(log_probabilities), std::move(targets));
}

}  // namespace reprise
