#include "reprise/ops/detach.h"

namespace reprise {
namespace {

struct Detach final : Op {
  std::string_view name() const override { return "detach"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0]}; }
  std::optional<Alias> alias(std::span<const ValueInfo>) const override { return Alias{0, 0}; }
  void forward(std::span<const ConstView>, std::span<const View>, std::span<std::byte>) const override {}
  std::vector<int> differentiable() const override { return {}; }
};

}  // namespace

Tensor detach(Tensor x) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Detach>();
  return record(op, std::move(x));
}

}  // namespace reprise
