#include "reprise/ops/maximum.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// A NaN compares false with everything, itself included.
template <class T>
void maximum(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T>(args, [](T a, T b) { return a > b || a != a ? a : b; });
}

template <class T>
void minimum(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T>(args, [](T a, T b) { return a < b || a != a ? a : b; });
}

}  // namespace

void fill_maximum() {
  fill_any_floating(maximum_slot, maximum<float>, maximum<double>);
  fill_integers(maximum_slot, maximum<std::int32_t>, maximum<std::int64_t>);
  fill_any_floating(minimum_slot, minimum<float>, minimum<double>);
  fill_integers(minimum_slot, minimum<std::int32_t>, minimum<std::int64_t>);
}

}  // namespace reprise::cpu
