// Gated linear units, a row at a time, vectorized along the row.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/glu.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/cpu/vector_gates.h"
#include "reprise/cpu/vector_rows.h"
#include "reprise/ops/glu.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// Calls f with the functions of the gate and an element of this dtype.
template <class F>
void with_gate(Gate gate, DType dtype, F f) {
  with_element(dtype, [&](auto element) {
    switch (gate) {
      case Gate::gelu:
        return f(ExactGelu{}, element);
      case Gate::gelu_tanh:
        return f(TanhGelu{}, element);
      case Gate::silu:
        return f(Silu{}, element);
    }
  });
}

template <class F>
void for_each_row(const Shape& y, F f) {
  const std::int64_t width = y[-1];
  parallel_for(y.without(-1).numel(), rows_worth_a_thread(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) f(row, width);
  });
}

void glu(const GluArgs& args, std::span<std::byte>) {
  with_gate(args.gate, args.x.info->dtype, [&](auto gate, auto element) {
    using Functions = decltype(gate);
    using T = decltype(element);
    for_each_row(args.y.info->shape, [&](std::int64_t row, std::int64_t width) HWY_ATTR {
      const T* a = args.x.as<T>() + 2 * row * width;
      map(a, a + width, args.y.as<T>() + row * width, width,
          [](Vec x, Vec g) HWY_ATTR { return hn::Mul(x, Functions::value(g)); });
    });
  });
}

void glu_backward(const GluBackwardArgs& args, std::span<std::byte>) {
  with_gate(args.gate, args.x.info->dtype, [&](auto gate, auto element) {
    using Functions = decltype(gate);
    using T = decltype(element);
    for_each_row(args.dy.info->shape, [&](std::int64_t row, std::int64_t width) HWY_ATTR {
      const T *a = args.x.as<T>() + 2 * row * width, *b = a + width, *dy = args.dy.as<T>() + row * width;
      T* da = args.dx.as<T>() + 2 * row * width;
      map(dy, b, da, width, [](Vec g, Vec v) HWY_ATTR { return hn::Mul(g, Functions::value(v)); });
      map_places(da + width, width, [=](std::int64_t i, auto read) HWY_ATTR {
        return hn::Mul(hn::Mul(read(dy + i), read(a + i)), Functions::derivative(read(b + i)));
      });
    });
  });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(glu);
HWY_EXPORT(glu_backward);

void fill_fast_glu() {
  fill_both(glu_slot, HWY_DYNAMIC_DISPATCH(glu));
  fill_both(glu_backward_slot, HWY_DYNAMIC_DISPATCH(glu_backward));
}

}  // namespace reprise::cpu
#endif
