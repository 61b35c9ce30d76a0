#include "reprise/cpu/slots.h"

#include "reprise/core/cuda_plugin.h"
#include "reprise/core/kernel_slot.h"

namespace reprise {

void ensure_kernel_slots(Device::Kind kind) {
  if (kind == Device::CUDA) {
    static const bool plugin_filled = [] {
      cuda_plugin().fill_kernel_slots();
      return true;
    }();
    static_cast<void>(plugin_filled);
    return;
  }
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
