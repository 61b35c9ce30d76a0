// Element-wise functions of two tensors or of a tensor and a number; comparisons.
#include "reprise/cuda/elementwise.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/ops.h"

namespace reprise::cuda {
namespace {

using Workspace = std::span<std::byte>;

template <class F>
void binary(const char* name, const BinaryArgs& args, F f) {
  with_number(args.a.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map_broadcast<T, T>(name, args, f);
  });
}

void add(const BinaryArgs& args, Workspace) {
  binary("add", args, [] __device__(auto a, auto b) { return a + b; });
}
void sub(const BinaryArgs& args, Workspace) {
  binary("sub", args, [] __device__(auto a, auto b) { return a - b; });
}
void mul(const BinaryArgs& args, Workspace) {
  binary("mul", args, [] __device__(auto a, auto b) { return a * b; });
}
void div(const BinaryArgs& args, Workspace) {
  const auto divide = [] __device__(auto a, auto b) { return a / b; };
  with_any_floating(args.a.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map_broadcast<T, T>("div", args, divide);
  });
}
// A NaN compares false with everything, itself included.
void maximum(const BinaryArgs& args, Workspace) {
  binary("maximum", args, [] __device__(auto a, auto b) { return a > b || a != a ? a : b; });
}
void minimum(const BinaryArgs& args, Workspace) {
  binary("minimum", args, [] __device__(auto a, auto b) { return a < b || a != a ? a : b; });
}

// F: a function of x and a number, in the type that elements are computed in.
template <template <class> class F>
void scalar(const char* name, const ScalarArgs& args) {
  with_number(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map(name, args.y, F<Computed<T>>{static_cast<Computed<T>>(args.value)}, args.y.as<T>(), args.x.as<T>());
  });
}
template <class T>
struct AddValue {
  T value;
  __device__ T operator()(T x) const { return x + value; }
};
template <class T>
struct MultiplyByValue {
  T value;
  __device__ T operator()(T x) const { return x * value; }
};
template <class T>
struct SubtractFromValue {
  T value;
  __device__ T operator()(T x) const { return value - x; }
};
void add_scalar(const ScalarArgs& args, Workspace) { scalar<AddValue>("add_scalar", args); }
void mul_scalar(const ScalarArgs& args, Workspace) { scalar<MultiplyByValue>("mul_scalar", args); }
void rsub(const ScalarArgs& args, Workspace) { scalar<SubtractFromValue>("rsub", args); }
void div_scalar(const ScalarArgs& args, Workspace) {
  const double value = args.value;
  map_floating("div_scalar", args.x, args.y,
               [value] __device__(auto x) { return x / static_cast<decltype(x)>(value); });
}
void rdiv(const ScalarArgs& args, Workspace) {
  const double value = args.value;
  map_floating("rdiv", args.x, args.y,
               [value] __device__(auto x) { return static_cast<decltype(x)>(value) / x; });
}

// y = a + b of equal shapes; y may be a.
void add_same(const AddSameArgs& args, Workspace) {
  const auto sum = [] __device__(auto a, auto b) { return a + b; };
  with_any_floating(args.y.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    map("add", args.y, sum, args.y.as<T>(), args.a.as<T>(), args.b.as<T>());
  });
}

template <class F>
void compare(const char* name, const BinaryArgs& args, F f) {
  const DType dtype = args.a.info->dtype;
  if (dtype == DType::u8) return map_broadcast<bool, std::uint8_t>(name, args, f);
  if (dtype == DType::boolean) return map_broadcast<bool, bool>(name, args, f);
  with_number(dtype, [&](auto stored) { map_broadcast<bool, decltype(stored)>(name, args, f); });
}
void equal(const BinaryArgs& args, Workspace) {
  compare("equal", args, [] __device__(auto a, auto b) { return a == b; });
}
void not_equal(const BinaryArgs& args, Workspace) {
  compare("not_equal", args, [] __device__(auto a, auto b) { return a != b; });
}
void less(const BinaryArgs& args, Workspace) {
  compare("less", args, [] __device__(auto a, auto b) { return a < b; });
}
void less_equal(const BinaryArgs& args, Workspace) {
  compare("less_equal", args, [] __device__(auto a, auto b) { return a <= b; });
}
void greater(const BinaryArgs& args, Workspace) {
  compare("greater", args, [] __device__(auto a, auto b) { return a > b; });
}
void greater_equal(const BinaryArgs& args, Workspace) {
  compare("greater_equal", args, [] __device__(auto a, auto b) { return a >= b; });
}
void fill_compare(KernelSlot<BinaryArgs>& slot, Run<BinaryArgs> run) {
  fill_numbers(slot, run);
  fill(slot, {DType::u8, DType::boolean}, run);
}

}  // namespace

void fill_arithmetic() {
  fill_numbers(add_slot, add);
  fill_numbers(sub_slot, sub);
  fill_numbers(mul_slot, mul);
  fill_any_floating(div_slot, div);
  fill_numbers(maximum_slot, maximum);
  fill_numbers(minimum_slot, minimum);
  fill_numbers(add_scalar_slot, add_scalar);
  fill_numbers(mul_scalar_slot, mul_scalar);
  fill_numbers(rsub_slot, rsub);
  fill_any_floating(div_scalar_slot, div_scalar);
  fill_any_floating(rdiv_slot, rdiv);
  fill_any_floating(add_same_slot, add_same);
  fill_compare(equal_slot, equal);
  fill_compare(not_equal_slot, not_equal);
  fill_compare(less_slot, less);
  fill_compare(less_equal_slot, less_equal);
  fill_compare(greater_slot, greater);
  fill_compare(greater_equal_slot, greater_equal);
}

}  // namespace reprise::cuda
