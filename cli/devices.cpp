// `reprise devices`: what there is to compute with, and why a device is not usable.
#include <fmt/format.h>

#include "reprise/cli/options.h"
#include "reprise/cli/output.h"
#include "reprise/core/cuda_plugin.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"

namespace reprise::cli {

int list_devices() {
  say("cpu      {} threads\n", num_threads());
  const CudaReport report = cuda_report();
  for (std::size_t i = 0; i < report.devices.size(); ++i) {
    const CudaDevice& device = report.devices[i];
    say("cuda:{:<3} {}, compute capability {}.{}, {}{}\n", i, device.name, device.major, device.minor,
        memory::format_bytes(device.memory),
        device.problem.empty() ? "" : fmt::format("; not usable: {}", device.problem));
  }
  if (!report.problem.empty()) say("cuda     {}\n", report.problem);
  if (!report.runtime.empty())
    say("\nplugin {}\nCUDA runtime {}, driver {}, cuBLASLt {}, cuDNN {}\n", report.plugin, report.runtime,
        report.driver.empty() ? "none" : "for " + report.driver, report.cublaslt, report.cudnn);
  return 0;
}

}  // namespace reprise::cli
