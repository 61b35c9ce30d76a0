#include "reprise/core/device.h"

#include <fmt/format.h>

#include "reprise/core/error.h"

namespace reprise {

std::string to_string(Device device) {
  if (device.kind == Device::CPU) return "cpu";
  return fmt::format("cuda:{}", device.index);
}

DeviceServices& services(Device device) {
  if (device.kind == Device::CUDA)
    throw UserError(fmt::format("no CUDA device: this build has no CUDA backend, so {} cannot be used",
                                to_string(device)));
  if (device.index != 0)
    throw UserError(fmt::format("there is one CPU device, index 0; asked for index {}", device.index));
  return cpu_services();
}

}  // namespace reprise
