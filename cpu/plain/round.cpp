#include "reprise/ops/round.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void round(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::nearbyint(x); });  // to even in the default rounding mode
}

}  // namespace

void fill_round() { fill_any_floating(round_slot, round<float>, round<double>); }

}  // namespace reprise::cpu
