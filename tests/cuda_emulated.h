#pragma once
// The CUDA devices of the tests: emulated ones (tests/cuda_emulator/), or with REPRISE_TEST_GPU=1 real ones.
#include <string>

#include "reprise/core/device.h"
#include "reprise/tests/cuda_emulator/control.h"

namespace reprise::test {

bool on_real_gpu();

Device cuda_device();  // cuda:0

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

// While it lives, cuda:0 waits for everything that is asked of it, as with REPRISE_CUDA_SYNCHRONIZE=1.
class SynchronizedLaunches {
 public:
  SynchronizedLaunches();
  ~SynchronizedLaunches();
  SynchronizedLaunches(const SynchronizedLaunches&) = delete;
  SynchronizedLaunches& operator=(const SynchronizedLaunches&) = delete;
};

// Runs a small kernel of tests/cuda_emulator/planted.cu; y: 256 numbers. 0: no error.
int run_planted(const char* name, float* y);
// Copies beside the work of kernels, without what `name` says (planted.cu); y: 256 numbers. 0: no error.
int run_planted_copies(const char* name, float* y);
// Captures a small step on two streams with what `name` says in it (planted_capture.cu), and launches it: the error of the end of
// the capture, or 0 where the graph then did what it should.
int run_planted_capture(const char* name);
// y [16, 32] = a [16, 8] b [8, 32] by cuBLASLt, told of its operands' leading dimensions, or of the other's. 0: no error.
int run_planted_product(bool swapped, const float* a, const float* b, float* y);
// Bytes of workspace of cuDNN's plan for a small convolution (tests/cuda_emulator/planned.cpp); -1: refused.
std::int64_t plan_convolution(int device, std::int64_t channels, bool tf32, std::int64_t most_workspace);

}  // namespace reprise::test
