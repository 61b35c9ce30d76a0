#include "reprise/core/device.h"

#include <fmt/format.h>

#include "reprise/core/cuda_plugin.h"
#include "reprise/core/error.h"

namespace reprise {

std::string to_string(Device device) {
  if (device.kind == Device::CPU) return "cpu";
  return fmt::format("cuda:{}", device.index);
}

std::unique_ptr<CapturedStep> DeviceServices::capture(const std::function<void()>&,
                                                      const std::function<void()>&) {
  throw UserError("CUDAGraph: only a CUDA device captures a step; on the CPU call it each time");
}

DeviceServices& services(Device device) {
  if (device.kind == Device::CUDA) return cuda_plugin().services(device.index);
  if (device.index != 0)
    throw UserError(fmt::format("there is one CPU device, index 0; asked for index {}", device.index));
  return cpu_services();
}

}  // namespace reprise
