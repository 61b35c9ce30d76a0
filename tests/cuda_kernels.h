#pragma once
// Which kernels of CUDA there are, and which of them something uses: by the slot's op and the dtype that it computes in.
#include <compare>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "reprise/core/dtype.h"

namespace reprise::test {

struct KernelName {
  std::string op;
  DType dtype;
  const void* slot;  // two slots have the op "add"
  friend auto operator<=>(const KernelName&, const KernelName&) = default;
};

std::set<KernelName> cpu_kernels();
std::set<KernelName> cuda_kernels();
// Those that libreprise_cuda.so fills, as nvcc compiled it; empty where it is not built. It is opened beside the emulator, and the
// slots are as before when this returns.
std::set<KernelName> compiled_kernels();

// While one lives, CUDA's kernels are noted when they run. They do not nest.
class NotedKernels {
 public:
  NotedKernels();
  ~NotedKernels();
  NotedKernels(const NotedKernels&) = delete;
  NotedKernels& operator=(const NotedKernels&) = delete;
  static const std::set<KernelName>& run();
};

// Takes the kernels of an op out of CUDA's slots until the end of the scope.
class MissingKernel {
 public:
  MissingKernel(const std::string& op, DType dtype);
  ~MissingKernel();
  MissingKernel(const MissingKernel&) = delete;
  MissingKernel& operator=(const MissingKernel&) = delete;

 private:
  std::vector<std::function<void()>> put_back_;
};

}  // namespace reprise::test
