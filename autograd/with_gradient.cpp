#include <fmt/format.h>

#include "reprise/autograd/tape.h"
#include "reprise/core/error.h"

namespace reprise {
namespace {

// The second input as it is; the gradient goes to the first, through the user's function.
struct WithGradient final : Op {
  std::string name_;
  std::function<Tensor(Tensor)> backward_;
  WithGradient(std::string name, std::function<Tensor(Tensor)> backward)
      : name_(std::move(name)), backward_(std::move(backward)) {}
  std::string_view name() const override { return name_; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[1]}; }
  std::optional<Alias> alias(std::span<const ValueInfo>) const override { return Alias{1, 0}; }
  void forward(std::span<const ConstView>, std::span<const View>, std::span<std::byte>) const override {}
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    return {backward_(gradients[0]), {}};
  }
};

}  // namespace

// `forward` runs as ordinary untracked ops, so it is on the tape, costs what it costs, and is replayed like any other.
Tensor with_gradient(std::string_view name, Tensor input, std::function<Tensor(Tensor)> forward,
                     std::function<Tensor(Tensor gradient)> backward) {
  Tensor output = forward(input.detach());
  if (!output.defined()) throw UserError(fmt::format("{}: forward returned an undefined tensor", name));
  if (output.requires_grad())
    throw UserError(
        fmt::format("{}: forward uses a tensor that requires a gradient beside its input; its gradient would "
                    "be lost: write an op for it",
                    name));
  return record(WithGradient(std::string(name), std::move(backward)), std::move(input), std::move(output));
}

}  // namespace reprise
