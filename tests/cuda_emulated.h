#pragma once
// The CUDA devices of the tests: emulated ones (tests/cuda_emulator/), or with REPRISE_TEST_GPU=1 real ones.
#include <string>

#include "reprise/core/device.h"
#include "reprise/tests/cuda_emulator/control.h"

namespace reprise::test {

bool on_real_gpu();

// cuda:0, after the plugin to be used has been settled for this process.
Device cuda_device();

// How the emulator runs until the end of the scope; nothing on a real GPU. Its faults are forgotten at both ends.
class EmulatorSettings {
 public:
  explicit EmulatorSettings(emulator::Settings settings);
  ~EmulatorSettings();
  EmulatorSettings(const EmulatorSettings&) = delete;
  EmulatorSettings& operator=(const EmulatorSettings&) = delete;
};

emulator::Statistics emulator_statistics();
std::string emulator_last_fault();

}  // namespace reprise::test
