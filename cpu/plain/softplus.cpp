#include "reprise/ops/softplus.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void softplus(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return (x > 0 ? x : T(0)) + std::log1p(std::exp(-std::abs(x))); });
}

}  // namespace

void fill_softplus() { fill_any_floating(softplus_slot, softplus<float>, softplus<double>); }

}  // namespace reprise::cpu
