#include "reprise/ops/compare.h"

#include <cmath>

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

// The same answer for every element of x, which holds integers: each is equal to itself.
Tensor everywhere(Tensor x, bool answer) {
  return answer ? compare<equal_slot>(x, x) : compare<not_equal_slot>(x, x);
}

// A number that the dtype of an integer x cannot hold is never converted: its place among the integers decides.
template <const KernelSlot<BinaryArgs>& slot>
Tensor compare(Tensor x, Scalar value) {
  constexpr bool kUnequal = &slot == &not_equal_slot;
  constexpr bool kBelow = &slot == &less_slot || &slot == &less_equal_slot;
  constexpr bool kAbove = &slot == &greater_slot || &slot == &greater_equal_slot;
  const DType dtype = x.dtype();
  const auto least = smallest_integer(dtype), most = largest_integer(dtype);
  const TensorOptions options{.device = x.device(), .dtype = dtype};
  if (is_floating(dtype) || (value.whole() && *value.whole() >= least && *value.whole() <= most))
    return compare<slot>(std::move(x), Tensor::full({}, value, options));
  const double number = value.to_double();
  if (std::isnan(number)) return everywhere(std::move(x), kUnequal);
  if (number >= static_cast<double>(most)) return everywhere(std::move(x), kBelow || kUnequal);
  if (number < static_cast<double>(least)) return everywhere(std::move(x), kAbove || kUnequal);
  if constexpr (kBelow || kAbove) {  // a fraction: below means at most the integer before it
    constexpr const KernelSlot<BinaryArgs>& rest = *(kBelow ? &less_equal_slot : &greater_slot);
    return compare<rest>(std::move(x), Tensor::full({}, std::floor(number), options));
  } else {
    return everywhere(std::move(x), kUnequal);
  }
}

}  // namespace

Tensor equal(Tensor a, Tensor b) { return compare<equal_slot>(std::move(a), std::move(b)); }
Tensor not_equal(Tensor a, Tensor b) { return compare<not_equal_slot>(std::move(a), std::move(b)); }
Tensor less(Tensor a, Tensor b) { return compare<less_slot>(std::move(a), std::move(b)); }
Tensor less_equal(Tensor a, Tensor b) { return compare<less_equal_slot>(std::move(a), std::move(b)); }
Tensor greater(Tensor a, Tensor b) { return compare<greater_slot>(std::move(a), std::move(b)); }
Tensor greater_equal(Tensor a, Tensor b) { return compare<greater_equal_slot>(std::move(a), std::move(b)); }

Tensor equal(Tensor x, Scalar value) { return compare<equal_slot>(std::move(x), value); }
Tensor not_equal(Tensor x, Scalar value) { return compare<not_equal_slot>(std::move(x), value); }
Tensor less(Tensor x, Scalar value) { return compare<less_slot>(std::move(x), value); }
Tensor less_equal(Tensor x, Scalar value) { return compare<less_equal_slot>(std::move(x), value); }
Tensor greater(Tensor x, Scalar value) { return compare<greater_slot>(std::move(x), value); }
Tensor greater_equal(Tensor x, Scalar value) { return compare<greater_equal_slot>(std::move(x), value); }

}  // namespace reprise
