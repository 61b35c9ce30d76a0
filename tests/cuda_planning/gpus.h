#pragma once
// The GPUs that are planned for.
#include <fmt/format.h>

#include <array>
#include <string>

namespace reprise::planning {

// A GPU as cuDNN is told of it: the figures of its data sheet.
struct Gpu {
  const char *name, *short_name;
  int version, processors, shared_memory, blocks, threads;
  long long memory, cache;
  int clock, memory_clock;
};
inline constexpr std::array<Gpu, 3> kGpus = {{
    {"NVIDIA A100-SXM4-80GB", "A100", 800, 108, 166912, 32, 2048, 85097971712, 41943040, 1410000, 1593000},
    {"NVIDIA H100 80GB HBM3", "H100", 900, 132, 232448, 32, 2048, 85028765696, 52428800, 1980000, 2619000},
    {"NVIDIA GeForce RTX 5090", "RTX 5090", 1200, 170, 101376, 24, 1536, 33669120000, 100663296, 2407000,
     14001000},
}};

inline std::string json(const Gpu& gpu) {
  return fmt::format(
      R"({{"deviceVer":{},"multiProcessorCount":{},"warpSize":32,"maxSharedMemoryPerBlock":49152,)"
      R"("maxSharedMemoryPerBlockOptin":{},"reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,)"
      R"("maxCtasPerSM":{},"maxThreadsPerBlock":1024,"maxThreadsPerSM":{},"regsPerBlock":65536,"totalGlobalMem":{},)"
      R"("smClockRateKHz":{},"l2CacheSize":{},"maxBlockSize":[1024,1024,64],"memClockRateKHz":{},)"
      R"("maxGridSize":[2147483647,65535,65535],"supportCoopLaunch":1,"pciDeviceId":0,"isTccDriver":0,"cudaDeviceId":0,)"
      R"("driverVer":13000,"deviceName":"{}"}})",
      gpu.version, gpu.processors, gpu.shared_memory, gpu.blocks, gpu.threads, gpu.memory, gpu.clock,
      gpu.cache, gpu.memory_clock, gpu.name);
}

}  // namespace reprise::planning
