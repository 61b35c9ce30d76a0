#include "reprise/ops/abs.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void abs(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::abs(x); });
}

template <class T>
void abs_backward(const GradientArgs& args, std::span<std::byte>) {
  map<T>(args, [](T gradient, T x) { return x > 0 ? gradient : x < 0 ? -gradient : T(0); });
}

}  // namespace

void fill_abs() {
  fill_any_floating(abs_slot, abs<float>, abs<double>);
  fill_any_floating(abs_backward_slot, abs_backward<float>, abs_backward<double>);
}

}  // namespace reprise::cpu
