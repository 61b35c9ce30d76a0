#include "reprise/ops/gelu.h"

#include <cmath>
#include <numbers>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// u of the approximation, and its derivative.
template <class T>
T inner(T x) {
  return static_cast<T>(std::sqrt(2 / std::numbers::pi)) * (x + T(0.044715) * x * x * x);
}
template <class T>
T inner_derivative(T x) {
  return static_cast<T>(std::sqrt(2 / std::numbers::pi)) * (T(1) + T(3 * 0.044715) * x * x);
}

template <class T>
T distribution(T x) {
  return T(0.5) * (T(1) + std::erf(x * static_cast<T>(1 / std::numbers::sqrt2)));
}
template <class T>
T density(T x) {
  return std::exp(T(-0.5) * x * x) * static_cast<T>(1 / std::sqrt(2 * std::numbers::pi));
}

template <class T>
void gelu(const GeluArgs& args, std::span<std::byte>) {
  if (args.approximate == Approximate::none)
    map<T>(args.x, args.y, [](T x) { return x * distribution(x); });
  else
    map<T>(args.x, args.y, [](T x) { return T(0.5) * x * (T(1) + std::tanh(inner(x))); });
}

template <class T>
void gelu_backward(const GeluBackwardArgs& args, std::span<std::byte>) {
  const GradientArgs operands{args.gradient, args.x, args.dx};
  if (args.approximate == Approximate::none) {
    map<T>(operands, [](T gradient, T x) { return gradient * (distribution(x) + x * density(x)); });
    return;
  }
  map<T>(operands, [](T gradient, T x) {
    const T t = std::tanh(inner(x));
    return gradient * T(0.5) * (T(1) + t + x * (T(1) - t * t) * inner_derivative(x));
  });
}

}  // namespace

void fill_gelu() {
  fill_any_floating(gelu_slot, gelu<float>, gelu<double>);
  fill_any_floating(gelu_backward_slot, gelu_backward<float>, gelu_backward<double>);
}

}  // namespace reprise::cpu
