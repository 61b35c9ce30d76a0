#include "reprise/ops/leaky_relu.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void leaky_relu(const ScalarArgs& args, std::span<std::byte>) {
  const T slope = static_cast<T>(args.value);
  map<T>(args.x, args.y, [slope](T x) { return x > 0 ? x : slope * x; });
}

template <class T>
void leaky_relu_backward(const LeakyReluBackwardArgs& args, std::span<std::byte>) {
  const T slope = static_cast<T>(args.negative_slope);
  map<T>(GradientArgs{args.gradient, args.saved, args.dx},
         [slope](T gradient, T saved) { return saved > 0 ? gradient : slope * gradient; });
}

}  // namespace

void fill_leaky_relu() {
  fill_any_floating(leaky_relu_slot, leaky_relu<float>, leaky_relu<double>);
  fill_any_floating(leaky_relu_backward_slot, leaky_relu_backward<float>, leaky_relu_backward<double>);
}

}  // namespace reprise::cpu
