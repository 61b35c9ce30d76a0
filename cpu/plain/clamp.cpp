#include "reprise/ops/clamp.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void clamp(const ClampArgs& args, std::span<std::byte>) {
  const T min = static_cast<T>(args.min), max = static_cast<T>(args.max);
  map<T>(args.x, args.y, [=](T x) { return x < min ? min : x > max ? max : x; });
}

template <class T>
void clamp_backward(const ClampBackwardArgs& args, std::span<std::byte>) {
  const T min = static_cast<T>(args.min), max = static_cast<T>(args.max);
  map<T>(GradientArgs{args.gradient, args.x, args.dx},
         [=](T gradient, T x) { return x >= min && x <= max ? gradient : T(0); });
}

}  // namespace

void fill_clamp() {
  fill_any_floating(clamp_slot, clamp<float>, clamp<double>);
  fill_any_floating(clamp_backward_slot, clamp_backward<float>, clamp_backward<double>);
}

}  // namespace reprise::cpu
