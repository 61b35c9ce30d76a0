#pragma once
// How many targets of a loss count.
#include <algorithm>
#include <cstdint>

#include "reprise/core/kernel_slot.h"

namespace reprise::cpu {

inline std::int64_t count_of(const std::int64_t* targets, std::int64_t positions, std::int64_t ignore_index) {
  return positions - std::count(targets, targets + positions, ignore_index);
}
inline std::int64_t count_of(const ConstView& targets, std::int64_t ignore_index) {
  return count_of(targets.as<std::int64_t>(), targets.info->shape.numel(), ignore_index);
}

}  // namespace reprise::cpu
