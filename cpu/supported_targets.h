#pragma once
// Which instruction sets the vectorized kernels may use. Included after Highway.
#include <hwy/highway.h>
#include <cstdint>

namespace reprise::cpu {

// Bits HWY_*. Asked once: Highway asks the processor each time, which takes microseconds, and in a virtual machine many.
inline bool supports(std::int64_t target) {
  static const std::int64_t all = hwy::SupportedTargets();
  return (all & target) != 0;
}

}  // namespace reprise::cpu
