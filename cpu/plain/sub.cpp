#include "reprise/ops/sub.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/plain/wrapping.h"

namespace reprise::cpu {
namespace {

template <class T>
void sub(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T>(args, [](T a, T b) { return wrapping_difference(a, b); });
}

template <class T>
void rsub(const ScalarArgs& args, std::span<std::byte>) {
  const T value = static_cast<T>(args.value);
  map<T>(args.x, args.y, [value](T x) { return wrapping_difference(value, x); });
}

}  // namespace

void fill_sub() {
  fill_any_floating(sub_slot, sub<float>, sub<double>);
  fill_integers(sub_slot, sub<std::int32_t>, sub<std::int64_t>);
  fill_any_floating(rsub_slot, rsub<float>, rsub<double>);
  fill_integers(rsub_slot, rsub<std::int32_t>, rsub<std::int64_t>);
}

}  // namespace reprise::cpu
