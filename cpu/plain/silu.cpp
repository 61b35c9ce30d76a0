#include "reprise/ops/silu.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void silu(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return x / (T(1) + std::exp(-x)); });
}

template <class T>
void silu_backward(const GradientArgs& args, std::span<std::byte>) {
  map<T>(args, [](T gradient, T x) {
    const T s = T(1) / (T(1) + std::exp(-x));
    return gradient * (s + x * s * (T(1) - s));
  });
}

}  // namespace

void fill_silu() {
  fill_any_floating(silu_slot, silu<float>, silu<double>);
  fill_any_floating(silu_backward_slot, silu_backward<float>, silu_backward<double>);
}

}  // namespace reprise::cpu
