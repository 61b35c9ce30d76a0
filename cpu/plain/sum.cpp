#include <atomic>

#include "reprise/core/error.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/reduction.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/ops/sum_to.h"

namespace reprise::cpu {
namespace {

template <class T>
void sum(const SumArgs& args, std::span<std::byte>) {
  const double scale = args.scale;
  with_stored<T>(args.x.info->dtype, [&](auto stored) {
    using Stored = decltype(stored);
    reduce(
        args.x.as<Stored>(), args.y.as<Stored>(), args.x.info->shape, args.kept, 0.0,
        [](double a, double b) { return a + b; },
        [scale](double total) { return static_cast<T>(total * scale); });
  });
}

// Integers and booleans into i64. Accumulator: for i64 a type that no sum of i64 leaves.
template <class T, class Accumulator>
void sum_integers(const SumArgs& args, std::span<std::byte>) {
  std::atomic<bool> beyond = false;
  reduce(
      args.x.as<T>(), args.y.as<std::int64_t>(), args.x.info->shape, args.kept, Accumulator{0},
      [](Accumulator a, Accumulator b) { return a + b; },
      [&beyond](Accumulator total) {
        const auto result = static_cast<std::int64_t>(total);
        if (result != total) beyond.store(true, std::memory_order_relaxed);
        return result;
      });
  if (beyond)
    throw UserError("sum: a sum of " + to_string(*args.x.info) +
                    " is beyond i64: convert with .to(DType::f64)");
}

__extension__ using Wide = __int128;

}  // namespace

void fill_sum() {
  fill_any_floating(sum_slot, sum<float>, sum<double>);
  fill_integers(sum_slot, sum_integers<std::int32_t, std::int64_t>, sum_integers<std::int64_t, Wide>);
  sum_slot.fill_plain(DType::u8, {sum_integers<std::uint8_t, std::int64_t>});
  sum_slot.fill_plain(DType::boolean, {sum_integers<bool, std::int64_t>});
}

}  // namespace reprise::cpu
