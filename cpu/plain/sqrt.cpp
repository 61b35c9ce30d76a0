#include "reprise/ops/sqrt.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void sqrt(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::sqrt(x); });
}

}  // namespace

void fill_sqrt() { fill_any_floating(sqrt_slot, sqrt<float>, sqrt<double>); }

}  // namespace reprise::cpu
