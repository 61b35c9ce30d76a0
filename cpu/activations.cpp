// relu, tanh, sigmoid, silu, gelu, exp and their gradients. The formulas are those of ops/.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/activations.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/core/parallel.h"
#include "reprise/cpu/vector_gates.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/exp.h"
#include "reprise/ops/gelu.h"
#include "reprise/ops/relu.h"
#include "reprise/ops/sigmoid.h"
#include "reprise/ops/silu.h"
#include "reprise/ops/tanh.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// Elements worth a thread: of what costs a few instructions, and of what evaluates a function.
inline constexpr std::int64_t kCheap = 16384, kCostly = 4096;

template <class F>
void unary(const ConstView& x, const View& y, std::int64_t grain, F f) {
  with_element(x.info->dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(y.info->shape.numel(), grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(x.as<T>() + begin, y.as<T>() + begin, end - begin, f);
    });
  });
}
template <class F>
void gradient(const ConstView& dy, const ConstView& saved, const View& dx, std::int64_t grain, F f) {
  with_element(dx.info->dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(dx.info->shape.numel(), grain, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      map(dy.as<T>() + begin, saved.as<T>() + begin, dx.as<T>() + begin, end - begin, f);
    });
  });
}

void relu(const UnaryArgs& args, std::span<std::byte>) {  // NaN stays
  unary(args.x, args.y, kCheap,
        [](Vec x) HWY_ATTR { return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(F32())), x); });
}
void relu_backward(const GradientArgs& args, std::span<std::byte>) {
  gradient(args.gradient, args.saved, args.dx, kCheap,
           [](Vec g, Vec y) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(y, hn::Zero(F32())), g); });
}

void tanh_forward(const UnaryArgs& args, std::span<std::byte>) {
  unary(args.x, args.y, kCostly, [](Vec x) HWY_ATTR { return tanh(x); });
}
void tanh_backward(const GradientArgs& args, std::span<std::byte>) {
  gradient(args.gradient, args.saved, args.dx, kCheap,
           [](Vec g, Vec y) HWY_ATTR { return hn::Mul(g, hn::NegMulAdd(y, y, set(1))); });
}

void sigmoid_forward(const UnaryArgs& args, std::span<std::byte>) {
  unary(args.x, args.y, kCostly, [](Vec x) HWY_ATTR { return sigmoid(x); });
}
void sigmoid_backward(const GradientArgs& args, std::span<std::byte>) {
  gradient(args.gradient, args.saved, args.dx, kCheap,
           [](Vec g, Vec y) HWY_ATTR { return hn::Mul(g, hn::Mul(y, hn::Sub(set(1), y))); });
}

void silu(const UnaryArgs& args, std::span<std::byte>) {
  unary(args.x, args.y, kCostly, [](Vec x) HWY_ATTR { return Silu::value(x); });
}
void silu_backward(const GradientArgs& args, std::span<std::byte>) {
  gradient(args.gradient, args.saved, args.dx, kCostly,
           [](Vec g, Vec x) HWY_ATTR { return hn::Mul(g, Silu::derivative(x)); });
}

void exp_forward(const UnaryArgs& args, std::span<std::byte>) {
  unary(args.x, args.y, kCostly, [](Vec x) HWY_ATTR { return exp(x); });
}

void gelu(const GeluArgs& args, std::span<std::byte>) {
  if (args.approximate == Approximate::tanh)
    unary(args.x, args.y, kCostly, [](Vec x) HWY_ATTR { return TanhGelu::value(x); });
  else
    unary(args.x, args.y, kCostly, [](Vec x) HWY_ATTR { return ExactGelu::value(x); });
}
void gelu_backward(const GeluBackwardArgs& args, std::span<std::byte>) {
  if (args.approximate == Approximate::tanh)
    gradient(args.gradient, args.x, args.dx, kCostly,
             [](Vec g, Vec x) HWY_ATTR { return hn::Mul(g, TanhGelu::derivative(x)); });
  else
    gradient(args.gradient, args.x, args.dx, kCostly,
             [](Vec g, Vec x) HWY_ATTR { return hn::Mul(g, ExactGelu::derivative(x)); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(relu);
HWY_EXPORT(relu_backward);
HWY_EXPORT(tanh_forward);
HWY_EXPORT(tanh_backward);
HWY_EXPORT(sigmoid_forward);
HWY_EXPORT(sigmoid_backward);
HWY_EXPORT(silu);
HWY_EXPORT(silu_backward);
HWY_EXPORT(exp_forward);
HWY_EXPORT(gelu);
HWY_EXPORT(gelu_backward);

void fill_fast_activations() {
  fill_both(relu_slot, HWY_DYNAMIC_DISPATCH(relu));
  fill_both(relu_backward_slot, HWY_DYNAMIC_DISPATCH(relu_backward));
  fill_both(tanh_slot, HWY_DYNAMIC_DISPATCH(tanh_forward));
  fill_both(tanh_backward_slot, HWY_DYNAMIC_DISPATCH(tanh_backward));
  fill_both(sigmoid_slot, HWY_DYNAMIC_DISPATCH(sigmoid_forward));
  fill_both(sigmoid_backward_slot, HWY_DYNAMIC_DISPATCH(sigmoid_backward));
  fill_both(silu_slot, HWY_DYNAMIC_DISPATCH(silu));
  fill_both(silu_backward_slot, HWY_DYNAMIC_DISPATCH(silu_backward));
  fill_both(exp_slot, HWY_DYNAMIC_DISPATCH(exp_forward));
  fill_both(gelu_slot, HWY_DYNAMIC_DISPATCH(gelu));
  fill_both(gelu_backward_slot, HWY_DYNAMIC_DISPATCH(gelu_backward));
}

}  // namespace reprise::cpu
#endif
