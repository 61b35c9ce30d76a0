#include "reprise/ops/sigmoid.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void sigmoid(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return T(1) / (T(1) + std::exp(-x)); });
}

template <class T>
void sigmoid_backward(const GradientArgs& args, std::span<std::byte>) {
  map<T>(args, [](T gradient, T y) { return gradient * y * (T(1) - y); });
}

}  // namespace

void fill_sigmoid() {
  fill_any_floating(sigmoid_slot, sigmoid<float>, sigmoid<double>);
  fill_any_floating(sigmoid_backward_slot, sigmoid_backward<float>, sigmoid_backward<double>);
}

}  // namespace reprise::cpu
