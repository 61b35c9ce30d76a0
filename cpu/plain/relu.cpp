#include "reprise/ops/relu.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void relu(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return x < 0 ? T(0) : x; });  // NaN stays
}

template <class T>
void relu_backward(const GradientArgs& args, std::span<std::byte>) {
  map<T>(args, [](T gradient, T y) { return y > 0 ? gradient : T(0); });
}

}  // namespace

void fill_relu() {
  fill_any_floating(relu_slot, relu<float>, relu<double>);
  fill_any_floating(relu_backward_slot, relu_backward<float>, relu_backward<double>);
}

}  // namespace reprise::cpu
