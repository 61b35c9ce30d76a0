#include "reprise/ops/mul.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/plain/wrapping.h"

namespace reprise::cpu {
namespace {

template <class T>
void mul(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T>(args, [](T a, T b) { return wrapping_product(a, b); });
}

template <class T>
void mul_scalar(const ScalarArgs& args, std::span<std::byte>) {
  const T value = static_cast<T>(args.value);
  map<T>(args.x, args.y, [value](T x) { return wrapping_product(x, value); });
}

}  // namespace

void fill_mul() {
  fill_any_floating(mul_slot, mul<float>, mul<double>);
  fill_integers(mul_slot, mul<std::int32_t>, mul<std::int64_t>);
  fill_any_floating(mul_scalar_slot, mul_scalar<float>, mul_scalar<double>);
  fill_integers(mul_scalar_slot, mul_scalar<std::int32_t>, mul_scalar<std::int64_t>);
}

}  // namespace reprise::cpu
