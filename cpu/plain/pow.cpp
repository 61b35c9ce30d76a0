#include "reprise/ops/pow.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void pow(const ScalarArgs& args, std::span<std::byte>) {
  const T exponent = static_cast<T>(args.value);
  map<T>(args.x, args.y, [exponent](T x) { return std::pow(x, exponent); });
}

}  // namespace

void fill_pow() { fill_any_floating(pow_slot, pow<float>, pow<double>); }

}  // namespace reprise::cpu
