#include "reprise/ops/compare.h"

namespace reprise {

constinit KernelSlot<BinaryArgs> equal_slot{"equal"};
constinit KernelSlot<BinaryArgs> not_equal_slot{"not_equal"};
constinit KernelSlot<BinaryArgs> less_slot{"less"};
constinit KernelSlot<BinaryArgs> less_equal_slot{"less_equal"};
constinit KernelSlot<BinaryArgs> greater_slot{"greater"};
constinit KernelSlot<BinaryArgs> greater_equal_slot{"greater_equal"};

namespace {

struct Compare final : BinaryOp {
  Compare(const char* name, const KernelSlot<BinaryArgs>& slot) : BinaryOp(name, slot, 1, Operands::any) {}
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    std::vector<ValueInfo> out = BinaryOp::infer(in);
    out[0].dtype = DType::boolean;
    return out;
  }
  std::vector<int> differentiable() const override { return {}; }
};

// A scalar of x's kind.
Tensor number(const Tensor& x, double value) {
  return Tensor::full({}, value, {.device = x.device(), .dtype = x.dtype()});
}

}  // namespace

Tensor equal(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Compare>("equal", equal_slot);
  return record(op, std::move(a), std::move(b));
}
Tensor equal(Tensor x, double value) {
  Tensor y = number(x, value);
  return equal(std::move(x), std::move(y));
}

Tensor not_equal(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Compare>("not_equal", not_equal_slot);
  return record(op, std::move(a), std::move(b));
}
Tensor not_equal(Tensor x, double value) {
  Tensor y = number(x, value);
  return not_equal(std::move(x), std::move(y));
}

Tensor less(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Compare>("less", less_slot);
  return record(op, std::move(a), std::move(b));
}
Tensor less(Tensor x, double value) {
  Tensor y = number(x, value);
  return less(std::move(x), std::move(y));
}

Tensor less_equal(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Compare>("less_equal", less_equal_slot);
  return record(op, std::move(a), std::move(b));
}
Tensor less_equal(Tensor x, double value) {
  Tensor y = number(x, value);
  return less_equal(std::move(x), std::move(y));
}

Tensor greater(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Compare>("greater", greater_slot);
  return record(op, std::move(a), std::move(b));
}
Tensor greater(Tensor x, double value) {
  Tensor y = number(x, value);
  return greater(std::move(x), std::move(y));
}

Tensor greater_equal(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op =
      std::make_shared<const Compare>("greater_equal", greater_equal_slot);
  return record(op, std::move(a), std::move(b));
}
Tensor greater_equal(Tensor x, double value) {
  Tensor y = number(x, value);
  return greater_equal(std::move(x), std::move(y));
}

}  // namespace reprise
