#include "reprise/ops/max.h"

#include <limits>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/reduction.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// A NaN compares false with everything, itself included, and wins.
template <class T>
void max(const MaxArgs& args, std::span<std::byte>) {
  constexpr T lowest = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                            : std::numeric_limits<T>::lowest();
  const auto combine = [](T a, T b) { return b > a || b != b ? b : a; };
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    reduce(args.x.as<Stored>(), args.y.as<Stored>(), args.x.info->shape, args.kept, lowest, combine,
           [](T result) { return result; });
  });
}

template <class T>
void min(const MaxArgs& args, std::span<std::byte>) {
  constexpr T highest = std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity()
                                                             : std::numeric_limits<T>::max();
  const auto combine = [](T a, T b) { return b < a || b != b ? b : a; };
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    reduce(args.x.as<Stored>(), args.y.as<Stored>(), args.x.info->shape, args.kept, highest, combine,
           [](T result) { return result; });
  });
}

}  // namespace

void fill_max() {
  fill_any_floating(max_slot, max<float>, max<double>);
  fill_integers(max_slot, max<std::int32_t>, max<std::int64_t>);
  fill_any_floating(min_slot, min<float>, min<double>);
  fill_integers(min_slot, min<std::int32_t>, min<std::int64_t>);
}

}  // namespace reprise::cpu
