#pragma once
// The CUDA backend is a library of its own, libreprise_cuda.so, opened when a CUDA device is first asked for: a program
// that uses none neither links nor loads CUDA. It is looked for beside libreprise.so, or where the environment variable
// REPRISE_CUDA_PLUGIN says.
#include <string>
#include <vector>

#include "reprise/core/device.h"

namespace reprise {

struct CudaDevice {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::size_t memory = 0;    // bytes
  std::string problem;       // why Reprise cannot use it; empty: it can
};

// What there is to compute with on CUDA devices.
struct CudaReport {
  std::string plugin;   // the file
  std::string problem;  // why no device can be used, and what to do about it; empty: some can
  // Versions, "13.0"; empty where unknown.
  std::string driver, runtime, cublaslt, cudnn;
  std::vector<CudaDevice> devices;
};
CudaReport cuda_report();

// What the plugin exports, as the C function reprise_cuda_plugin. `identity` is build_identity() of the build that it
// belongs to, and is read before anything else: another build's plugin is refused.
struct CudaPlugin {
  const char* identity;
  CudaReport (*report)();
  // UserError for a device that cannot be used: "cuda:1: ...".
  DeviceServices& (*services)(int index);
  void (*fill_kernel_slots)();
};
using CudaPluginEntry = const CudaPlugin* (*)();

const char* build_identity();

// UserError where the plugin is missing, cannot be opened, or belongs to another build.
const CudaPlugin& cuda_plugin();

}  // namespace reprise
