#include "reprise/ops/cross_entropy.h"

#include <fmt/format.h>

#include "reprise/ops/class_targets.h"
#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/statistics.h"

namespace reprise {

constinit KernelSlot<CrossEntropyArgs> cross_entropy_slot{"cross_entropy"};
constinit KernelSlot<CrossEntropyBackwardArgs> cross_entropy_backward_slot{"cross_entropy_backward"};

namespace {

// Inputs dloss, logits, targets, log_sum; output dlogits.
struct CrossEntropyBackward final : KernelOp<CrossEntropyBackwardArgs> {
  CrossEntropyOptions options;
  explicit CrossEntropyBackward(CrossEntropyOptions o)
      : KernelOp("cross_entropy_backward", cross_entropy_backward_slot, 1), options(o) {}

  std::string attributes() const override { return to_string(options); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[1]}; }
  CrossEntropyBackwardArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], in[2], in[3], out[0], options};
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 4.0 * static_cast<double>(in[1].shape.numel());
  }
};

// Outputs loss, log_sum.
struct CrossEntropy final : KernelOp<CrossEntropyArgs> {
  CrossEntropyOptions options;
  explicit CrossEntropy(CrossEntropyOptions o) : KernelOp("cross_entropy", cross_entropy_slot), options(o) {}

  std::string attributes() const override { return to_string(options); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_class_targets("cross_entropy", in[0], in[1]);
    require_label_smoothing("cross_entropy", options.label_smoothing);
    const DType dtype = statistics_dtype(in[0].dtype);
    return {{Shape(), dtype, in[0].device}, {in[1].shape, dtype, in[0].device}};
  }
  CrossEntropyArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    return {in[0], in[1], out[0], out[1], options};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    require_in_range("cross_entropy", "target", in[1], in[0].info->shape[-1], &options.ignore_index);
    KernelOp::forward(in, out, workspace);
  }
  Saved saves(Needs) const override { return {.inputs = {0, 1}, .outputs = {1}}; }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    std::vector<Tensor> result(2);
    // Detached: log_sum carries no gradient, and differentiating again is to stop at the gradient op.
    result[0] = record(CrossEntropyBackward(options), gradients[0], context.inputs[0], context.inputs[1],
                       context.outputs[1].detach());
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    return 4.0 * static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

std::string to_string(const CrossEntropyOptions& options) {
  return fmt::format("ignore_index={} label_smoothing={}", options.ignore_index, options.label_smoothing);
}

Tensor cross_entropy(Tensor logits, Tensor targets, CrossEntropyOptions options) {
  return record(CrossEntropy(options), std::move(logits), std::move(targets));
}

}  // namespace reprise
