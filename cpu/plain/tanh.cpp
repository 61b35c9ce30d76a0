#include "reprise/ops/tanh.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void tanh(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::tanh(x); });
}

template <class T>
void tanh_backward(const GradientArgs& args, std::span<std::byte>) {
  map<T>(args, [](T gradient, T y) { return gradient * (T(1) - y * y); });
}

}  // namespace

void fill_tanh() {
  fill_any_floating(tanh_slot, tanh<float>, tanh<double>);
  fill_any_floating(tanh_backward_slot, tanh_backward<float>, tanh_backward<double>);
}

}  // namespace reprise::cpu
