// What the plugin exports.
#include "reprise/core/cuda_plugin.h"
#include "reprise/cuda/context.h"
#include "reprise/cuda/report.h"
#include "reprise/cuda/slots.h"

extern "C" const reprise::CudaPlugin* reprise_cuda_plugin() {
  static const reprise::CudaPlugin plugin = {REPRISE_BUILD_IDENTITY, reprise::cuda::report,
                                             reprise::cuda::services, reprise::cuda::fill_kernel_slots};
  return &plugin;
}
