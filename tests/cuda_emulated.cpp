#include "reprise/tests/cuda_emulated.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "reprise/core/cuda_plugin.h"

namespace reprise::test {

namespace {

// Before any test can open a plugin: a process has one.
[[maybe_unused]] const bool settled = [] {
  if (!on_real_gpu()) setenv("REPRISE_CUDA_PLUGIN", REPRISE_CUDA_EMULATOR, 1);
  return true;
}();

template <class Function>
Function emulator_function(const char* name) {
  cuda_plugin();
  void* library = dlopen(REPRISE_CUDA_EMULATOR, RTLD_NOW | RTLD_NOLOAD);
  if (!library) throw std::runtime_error("the emulator is not this process's CUDA plugin");
  void* function = dlsym(library, name);
  if (!function) throw std::runtime_error(std::string("the emulator lacks ") + name);
  return reinterpret_cast<Function>(function);
}

void synchronize_launches(bool on) {
  emulator_function<void (*)(bool)>("reprise_emulator_synchronize_launches")(on);
}

void configure(emulator::Settings settings) {
  if (!on_real_gpu()) emulator_function<emulator::Configure>("reprise_emulator_configure")(&settings);
}

}  // namespace

bool on_real_gpu() {
  const char* text = std::getenv("REPRISE_TEST_GPU");
  return text && std::strcmp(text, "1") == 0;
}

Device cuda_device() { return Device::cuda(0); }

EmulatorSettings::EmulatorSettings(emulator::Settings settings) { configure(settings); }
EmulatorSettings::~EmulatorSettings() { configure({}); }

SynchronizedLaunches::SynchronizedLaunches() { synchronize_launches(true); }
SynchronizedLaunches::~SynchronizedLaunches() { synchronize_launches(false); }

emulator::Statistics emulator_statistics() {
  emulator::Statistics result;
  emulator_function<emulator::ReadStatistics>("reprise_emulator_statistics")(&result);
  return result;
}
std::string emulator_last_fault() {
  return emulator_function<emulator::LastFault>("reprise_emulator_last_fault")();
}

int run_planted(const char* name, float* y) {
  return emulator_function<int (*)(const char*, float*)>("reprise_emulator_planted")(name, y);
}
int run_planted_copies(const char* name, float* y) {
  return emulator_function<int (*)(const char*, float*)>("reprise_emulator_planted_copies")(name, y);
}
int run_planted_capture(const char* name) {
  return emulator_function<int (*)(const char*)>("reprise_emulator_planted_capture")(name);
}
int run_planted_product(bool swapped, const float* a, const float* b, float* y) {
  return emulator_function<int (*)(bool, const float*, const float*, float*)>(
      "reprise_emulator_planted_product")(swapped, a, b, y);
}
std::int64_t plan_convolution(int device, std::int64_t channels, bool tf32, std::int64_t most_workspace) {
  return emulator_function<std::int64_t (*)(int, std::int64_t, bool, std::int64_t)>("reprise_emulator_plan")(
      device, channels, tf32, most_workspace);
}

}  // namespace reprise::test
