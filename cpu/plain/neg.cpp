#include "reprise/ops/neg.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/plain/wrapping.h"

namespace reprise::cpu {
namespace {

template <class T>
void neg(const UnaryArgs& args, std::span<std::byte>) {
  map<T>(args.x, args.y, [](T x) { return std::is_integral_v<T> ? wrapping_difference(T{}, x) : -x; });
}

}  // namespace

void fill_neg() {
  fill_any_floating(neg_slot, neg<float>, neg<double>);
  fill_integers(neg_slot, neg<std::int32_t>, neg<std::int64_t>);
}

}  // namespace reprise::cpu
