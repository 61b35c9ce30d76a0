#include "reprise/cpu/slots.h"

#include <mutex>

#include "reprise/core/kernel_slot.h"

namespace reprise {

void ensure_kernel_slots(Device::Kind kind) {
  static std::once_flag once;
  if (kind == Device::CPU)
    std::call_once(once, [] {
      cpu::fill_plain_kernels();
#ifndef REPRISE_STD_THREADS  // the thread sanitizer cannot follow oneDNN's libgomp
      cpu::fill_fast_kernels();
#endif
    });
}

}  // namespace reprise
