#pragma once
// What a test asks of the emulator: libreprise_cuda_emulator.so, the CUDA backend compiled for the CPU, with stand-ins for
// cudart, cuBLASLt and cuDNN. It is opened as the CUDA plugin of a process that has no GPU.
#include <cstdint>

namespace reprise::emulator {

enum class Schedule { forward, reverse, random };

struct Settings {
  // The order in which blocks, the threads of a block, and streams get their turn (streams.h).
  Schedule schedule = Schedule::forward;
  std::uint64_t seed = 1;  // of the random one
  // Work waits in its stream until the host synchronizes, so that a missing synchronization shows.
  bool lazy = true;
  // Device memory can be touched by kernels and copies only, so that a host access ends the process.
  bool host_locked_out = false;
  // A kernel of this name, or "cublasLtMatmul", fails when it runs. The name outlives the settings.
  const char* failing_kernel = nullptr;
  // cuDNN has no engine that adds a bias to a convolution.
  bool no_bias_in_convolutions = false;
  // Page-locked memory of the host that there is.
  std::int64_t most_page_locked_bytes = INT64_MAX;
};

struct Statistics {
  std::int64_t launches = 0;
  std::int64_t live_bytes = 0, peak_bytes = 0;
  std::int64_t cudnn_plans = 0, cudnn_runs = 0;  // execution plans made, or refused; graphs executed
  std::int64_t page_locked_allocations = 0, page_locked_bytes = 0;
  std::int64_t synchronizations = 0;  // the host waited for a stream
  std::int64_t waiting_work = 0;      // entries in streams that are not done
  std::int64_t graphs = 0;            // captured and executable ones that are not destroyed
  std::int64_t graph_launches = 0;
};

// Exported by the plugin under these names.
using Configure = void (*)(const Settings*);   // reprise_emulator_configure
using ReadStatistics = void (*)(Statistics*);  // reprise_emulator_statistics
using LastFault = const char* (*)();           // reprise_emulator_last_fault: what the last failed kernel did

}  // namespace reprise::emulator
