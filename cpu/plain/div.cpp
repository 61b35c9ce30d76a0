#include "reprise/ops/div.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void div(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T>(args, [](T a, T b) { return a / b; });
}

template <class T>
void div_scalar(const ScalarArgs& args, std::span<std::byte>) {
  const T value = static_cast<T>(args.value);
  map<T>(args.x, args.y, [value](T x) { return x / value; });
}

template <class T>
void rdiv(const ScalarArgs& args, std::span<std::byte>) {
  const T value = static_cast<T>(args.value);
  map<T>(args.x, args.y, [value](T x) { return value / x; });
}

}  // namespace

void fill_div() {
  fill_any_floating(div_slot, div<float>, div<double>);
  fill_any_floating(div_scalar_slot, div_scalar<float>, div_scalar<double>);
  fill_any_floating(rdiv_slot, rdiv<float>, rdiv<double>);
}

}  // namespace reprise::cpu
