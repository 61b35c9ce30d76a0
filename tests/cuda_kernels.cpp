#include "reprise/tests/cuda_kernels.h"

#include <dlfcn.h>

#include <functional>
#include <stdexcept>
#include <vector>

#include "reprise/core/cuda_plugin.h"
#include "reprise/core/error.h"
#include "reprise/tests/kernel_slots.h"

namespace reprise::test {

namespace {

// Calls f.template operator()<slot, dtype>() for each slot and dtype.
template <class F>
void for_each_kernel(F f) {
  AllKernelSlots::for_each([&]<auto & slot>() {
    [&]<std::size_t... dtypes>(std::index_sequence<dtypes...>) {
      (f.template operator()<slot, static_cast<DType>(dtypes)>(), ...);
    }
    (std::make_index_sequence<kDTypeCount>());
  });
}

// Without a function where there is none.
template <class Args>
Kernel<Args> kernel_of(const KernelSlot<Args>& slot, Device device, DType dtype) {
  try {
    return slot.find(device, dtype);
  } catch (const UserError&) {
    return {};
  }
}

std::set<KernelName> kernels_of(Device device) {
  std::set<KernelName> result;
  for_each_kernel([&]<auto & slot, DType dtype>() {
    if (kernel_of(slot, device, dtype).run) result.insert({slot.op(), dtype, &slot});
  });
  return result;
}

std::set<KernelName> noted;

template <auto& slot, DType dtype>
struct Noted {
  using Args = decltype(arguments_of(slot));
  static inline Kernel<Args> kernel;
  static void run(const Args& args, std::span<std::byte> workspace) {
    noted.insert({slot.op(), dtype, &slot});
    kernel.run(args, workspace);
  }
};

// Empties CUDA's slots; each function puts a kernel back.
std::vector<std::function<void()>> take_kernels(const std::function<bool(const KernelName&)>& wanted) {
  std::vector<std::function<void()>> result;
  for_each_kernel([&]<auto & slot, DType dtype>() {
    if (!wanted({slot.op(), dtype, &slot})) return;
    result.emplace_back(
        [kernel = kernel_of(slot, Device::cuda(0), dtype)] { slot.fill(Device::CUDA, dtype, kernel); });
    slot.fill(Device::CUDA, dtype, {});
  });
  return result;
}

}  // namespace

std::set<KernelName> cpu_kernels() { return kernels_of(Device::cpu()); }
std::set<KernelName> cuda_kernels() { return kernels_of(Device::cuda(0)); }

std::set<KernelName> compiled_kernels() {
  const std::string file = REPRISE_CUDA_PLUGIN;
  if (file.empty()) return {};
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  const auto entry =
      library ? reinterpret_cast<CudaPluginEntry>(dlsym(library, "reprise_cuda_plugin")) : nullptr;
  if (!entry) throw std::runtime_error(file + " cannot be opened");
  const auto taken = take_kernels([](const KernelName&) { return true; });
  entry()->fill_kernel_slots();
  const std::set<KernelName> result = cuda_kernels();
  for (const auto& put_back : taken) put_back();
  return result;
}

NotedKernels::NotedKernels() {
  noted.clear();
  for_each_kernel([]<auto & slot, DType dtype>() {
    using Here = Noted<slot, dtype>;
    Here::kernel = kernel_of(slot, Device::cuda(0), dtype);
    if (Here::kernel.run) slot.fill(Device::CUDA, dtype, {Here::run, Here::kernel.workspace});
  });
}
NotedKernels::~NotedKernels() {
  for_each_kernel(
      []<auto & slot, DType dtype>() { slot.fill(Device::CUDA, dtype, Noted<slot, dtype>::kernel); });
}
const std::set<KernelName>& NotedKernels::run() { return noted; }

MissingKernel::MissingKernel(const std::string& op, DType dtype)
    : put_back_(
          take_kernels([&](const KernelName& kernel) { return kernel.op == op && kernel.dtype == dtype; })) {}
MissingKernel::~MissingKernel() {
  for (const auto& put_back : put_back_) put_back();
}

}  // namespace reprise::test
