#include <type_traits>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/reduction.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/ops/sum_to.h"

namespace reprise::cpu {
namespace {

template <class T>
void sum(const SumArgs& args, std::span<std::byte>) {
  using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
  const auto scale = static_cast<Accumulator>(args.scale);
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    reduce(
        args.x.as<Stored>(), args.y.as<Stored>(), args.x.info->shape, args.kept, Accumulator{0},
        [](Accumulator a, Accumulator b) { return a + b; },
        [scale](Accumulator total) { return static_cast<T>(total * scale); });
  });
}

}  // namespace

void fill_sum() {
  fill_any_floating(sum_slot, sum<float>, sum<double>);
  fill_integers(sum_slot, sum<std::int32_t>, sum<std::int64_t>);
}

}  // namespace reprise::cpu
