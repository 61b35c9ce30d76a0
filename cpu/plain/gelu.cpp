#include "reprise/ops/gelu.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/gate_functions.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void gelu(const GeluArgs& args, std::span<std::byte>) {
  if (args.approximate == Approximate::none)
    map<T>(args.x, args.y, ExactGelu::value<T>);
  else
    map<T>(args.x, args.y, TanhGelu::value<T>);
}

template <class T>
void gelu_backward(const GeluBackwardArgs& args, std::span<std::byte>) {
  const GradientArgs operands{args.gradient, args.x, args.dx};
  if (args.approximate == Approximate::none)
    map<T>(operands, [](T gradient, T x) { return gradient * ExactGelu::derivative(x); });
  else
    map<T>(operands, [](T gradient, T x) { return gradient * TanhGelu::derivative(x); });
}

}  // namespace

void fill_gelu() {
  fill_any_floating(gelu_slot, gelu<float>, gelu<double>);
  fill_any_floating(gelu_backward_slot, gelu_backward<float>, gelu_backward<double>);
}

}  // namespace reprise::cpu
