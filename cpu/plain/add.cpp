#include "reprise/ops/add.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/plain/wrapping.h"

namespace reprise::cpu {
namespace {

template <class T>
void add(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T>(args, [](T a, T b) { return wrapping_sum(a, b); });
}

template <class T>
void add_scalar(const ScalarArgs& args, std::span<std::byte>) {
  const T value = static_cast<T>(args.value);
  map<T>(args.x, args.y, [value](T x) { return wrapping_sum(x, value); });
}

}  // namespace

void fill_add() {
  fill_any_floating(add_slot, add<float>, add<double>);
  fill_integers(add_slot, add<std::int32_t>, add<std::int64_t>);
  fill_any_floating(add_scalar_slot, add_scalar<float>, add_scalar<double>);
  fill_integers(add_scalar_slot, add_scalar<std::int32_t>, add_scalar<std::int64_t>);
}

}  // namespace reprise::cpu
