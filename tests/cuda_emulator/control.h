#pragma once
// What a test asks of the emulator: libreprise_cuda_emulator.so, the CUDA backend compiled for the CPU, with stand-ins for
// cudart, cuBLASLt and cuDNN. It is opened as the CUDA plugin of a process that has no GPU.
#include <cstdint>

namespace reprise::emulator {

enum class Schedule { forward, reverse, random };

struct Settings {
  // The order in which blocks, and the threads of a block, get their turn.
  Schedule schedule = Schedule::forward;
  std::uint64_t seed = 1;  // of the random one
  // Work waits in its stream until the host synchronizes, so that a missing synchronization shows.
  bool lazy = true;
  // Device memory can be touched by kernels and copies only, so that a host access ends the process.
  bool host_locked_out = false;
};

struct Statistics {
  std::int64_t launches = 0;
  std::int64_t live_bytes = 0, peak_bytes = 0;
  std::int64_t cudnn_plans = 0, cudnn_runs = 0;  // execution plans made, or refused; graphs executed
};

// Exported by the plugin under these names.
using Configure = void (*)(const Settings*);  // reprise_emulator_configure
using ReadStatistics = Statistics (*)();      // reprise_emulator_statistics
using LastFault = const char* (*)();          // reprise_emulator_last_fault: what the last failed kernel did

}  // namespace reprise::emulator
