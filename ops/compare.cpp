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
  explicit Compare(const KernelSlot<BinaryArgs>& slot) : BinaryOp(slot.op(), slot, 1, Operands::any) {}
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    std::vector<ValueInfo> out = BinaryOp::infer(in);
    out[0].dtype = DType::boolean;
    return out;
  }
  std::vector<int> differentiable() const override { return {}; }
};

template <const KernelSlot<BinaryArgs>& slot>
Tensor compare(Tensor a, Tensor b) {
  static const std::shared_ptr<const Op> op = std::make_shared<const Compare>(slot);
  return record(op, std::move(a), std::move(b));
}

template <const KernelSlot<BinaryArgs>& slot>
Tensor compare(Tensor x, double value) {
  Tensor number = Tensor::full({}, value, {.device = x.device(), .dtype = x.dtype()});
  return compare<slot>(std::move(x), std::move(number));
}

}  // namespace

Tensor equal(Tensor a, Tensor b) { return compare<equal_slot>(std::move(a), std::move(b)); }
Tensor not_equal(Tensor a, Tensor b) { return compare<not_equal_slot>(std::move(a), std::move(b)); }
Tensor less(Tensor a, Tensor b) { return compare<less_slot>(std::move(a), std::move(b)); }
Tensor less_equal(Tensor a, Tensor b) { return compare<less_equal_slot>(std::move(a), std::move(b)); }
Tensor greater(Tensor a, Tensor b) { return compare<greater_slot>(std::move(a), std::move(b)); }
Tensor greater_equal(Tensor a, Tensor b) { return compare<greater_equal_slot>(std::move(a), std::move(b)); }

Tensor equal(Tensor x, double value) { return compare<equal_slot>(std::move(x), value); }
Tensor not_equal(Tensor x, double value) { return compare<not_equal_slot>(std::move(x), value); }
Tensor less(Tensor x, double value) { return compare<less_slot>(std::move(x), value); }
Tensor less_equal(Tensor x, double value) { return compare<less_equal_slot>(std::move(x), value); }
Tensor greater(Tensor x, double value) { return compare<greater_slot>(std::move(x), value); }
Tensor greater_equal(Tensor x, double value) { return compare<greater_equal_slot>(std::move(x), value); }

}  // namespace reprise
