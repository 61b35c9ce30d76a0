#include "reprise/ops/silu.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/gate_functions.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void silu(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, Silu::value<T>);
}

template <class T>
void silu_backward(const GradientArgs& args, std::span<std::byte>) {
  map<T>(args, [](T gradient, T x) { return gradient * Silu::derivative(x); });
}

}  // namespace

void fill_silu() {
  fill_any_floating(silu_slot, silu<float>, silu<double>);
  fill_any_floating(silu_backward_slot, silu_backward<float>, silu_backward<double>);
}

}  // namespace reprise::cpu
