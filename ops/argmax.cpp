#include "reprise/ops/argmax.h"

#include <fmt/format.h>

namespace reprise {

constinit KernelSlot<ArgmaxArgs> argmax_slot{"argmax"};

namespace {

struct Argmax final : Op {
  int dim;
  explicit Argmax(int d) : dim(d) {}
  std::string_view name() const override { return "argmax"; }
  std::string attributes() const override { return fmt::format("dim={}", dim); }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    if (in[0].shape[dim] == 0)
      throw UserError(fmt::format("argmax: dimension {} of {} is empty", dim, to_string(in[0].shape)));
    return {{in[0].shape.without(dim), DType::i64, in[0].device}};
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte> workspace) const override {
    argmax_slot.run({in[0], out[0], dim}, workspace, in[0].info->device, in[0].info->dtype);
  }
  std::vector<int> differentiable() const override { return {}; }
  double flops(std::span<const ValueInfo> in) const override {
    return static_cast<double>(in[0].shape.numel());
  }
};

}  // namespace

Tensor argmax(Tensor x, int dim) {
  const int from_front = normalize_dim("argmax", dim, x.shape().rank());
  return record(Argmax(from_front), std::move(x));
}

}  // namespace reprise
