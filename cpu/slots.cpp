#include "reprise/cpu/slots.h"

#include "reprise/core/kernel_slot.h"

namespace reprise {

void ensure_kernel_slots(Device::Kind kind) {
  if (kind != Device::CPU) return;
  static const bool filled = [] {
    cpu::fill_plain_kernels();
#ifndef REPRISE_STD_THREADS  // the thread sanitizer cannot follow oneDNN's libgomp
    cpu::fill_fast_kernels();
#endif
    return true;
  }();
  static_cast<void>(filled);
}

}  // namespace reprise
