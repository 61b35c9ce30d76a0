#include "reprise/ops/glu.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/gate_functions.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// Calls f with the functions of the gate.
template <class F>
void with_gate(Gate gate, F f) {
  switch (gate) {
    case Gate::gelu:
      return f(ExactGelu{});
    case Gate::gelu_tanh:
      return f(TanhGelu{});
    case Gate::silu:
      return f(Silu{});
  }
}

// Calls f(row, i, element of the output's half) for every element of [rows, width].
template <class F>
void for_each_element(const Shape& y, F f) {
  const std::int64_t width = y[-1], rows = y.without(-1).numel();
  parallel_for(rows, grain_for(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t i = 0; i < width; ++i)
        f(row * width + i, 2 * row * width + i, (2 * row + 1) * width + i);
  });
}

template <class T>
void glu(const GluArgs& args, std::span<std::byte>) {
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    const auto* x = args.x.as<Stored>();
    auto* y = args.y.as<Stored>();
    with_gate(args.gate, [&](auto gate) {
      for_each_element(args.y.info->shape, [=](std::int64_t i, std::int64_t a, std::int64_t b) {
        y[i] = narrow<Stored>(widen(x[a]) * gate.value(widen(x[b])));
      });
    });
  });
}

template <class T>
void glu_backward(const GluBackwardArgs& args, std::span<std::byte>) {
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    const Stored *x = args.x.as<Stored>(), *dy = args.dy.as<Stored>();
    auto* dx = args.dx.as<Stored>();
    with_gate(args.gate, [&](auto gate) {
      for_each_element(args.dy.info->shape, [=](std::int64_t i, std::int64_t a, std::int64_t b) {
        dx[a] = narrow<Stored>(widen(dy[i]) * gate.value(widen(x[b])));
        dx[b] = narrow<Stored>(widen(dy[i]) * widen(x[a]) * gate.derivative(widen(x[b])));
      });
    });
  });
}

}  // namespace

void fill_glu() {
  fill_any_floating(glu_slot, glu<float>, glu<double>);
  fill_any_floating(glu_backward_slot, glu_backward<float>, glu_backward<double>);
}

}  // namespace reprise::cpu
