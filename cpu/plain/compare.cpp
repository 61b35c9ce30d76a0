#include "reprise/ops/compare.h"

#include <functional>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

// Compare: a function object of two values.
template <class T, class Compare>
void compare(const BinaryArgs& args, std::span<std::byte>) {
  map_broadcast<T, bool>(args, Compare());
}

template <template <class> class Compare>
void fill(KernelSlot<BinaryArgs>& slot) {
  fill_any_floating(slot, compare<float, Compare<float>>, compare<double, Compare<double>>);
  fill_integers(slot, compare<std::int32_t, Compare<std::int32_t>>,
                compare<std::int64_t, Compare<std::int64_t>>);
  slot.fill_plain(DType::u8, {compare<std::uint8_t, Compare<std::uint8_t>>});
  slot.fill_plain(DType::boolean, {compare<bool, Compare<bool>>});
}

}  // namespace

void fill_compare() {
  fill<std::equal_to>(equal_slot);
  fill<std::not_equal_to>(not_equal_slot);
  fill<std::less>(less_slot);
  fill<std::less_equal>(less_equal_slot);
  fill<std::greater>(greater_slot);
  fill<std::greater_equal>(greater_equal_slot);
}

}  // namespace reprise::cpu
