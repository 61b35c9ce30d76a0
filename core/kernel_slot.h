#pragma once
// A kernel slot: what an op needs computed, and who computes it. ops (and autograd, for its intrinsics) declare slots;
// the backends fill them through explicit lists. Args is a plain struct of views and options; `workspace` reads
// infos and options only (data may be null), so that bytes can be planned. Kernels never allocate.
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>

#include "reprise/core/tensor.h"

namespace reprise {

// A kernel's operands: data is null while only bytes are asked for.
struct View {
  void* data = nullptr;
  const ValueInfo* info = nullptr;
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};
struct ConstView {
  const void* data = nullptr;
  const ValueInfo* info = nullptr;
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

template <class Args>
struct Kernel {
  void (*run)(const Args&, std::span<std::byte> workspace) = nullptr;
  std::size_t (*workspace)(const Args&) = nullptr;  // null: none
};

// Calls every backend's list once (cpu/slots.cpp; cuda's when a CUDA device is asked for).
void ensure_kernel_slots(Device::Kind kind);

// Use the readable loops of cpu/plain even where something faster is there. For tests; per process.
void set_plain_kernels(bool plain);
bool plain_kernels();

[[noreturn]] void throw_missing_kernel(const char* op, Device::Kind kind, DType dtype);

// A library that a kernel calls failed; the text is what the library said. KernelSlot turns a KernelFailure into a
// DeviceError that names the op.
struct KernelFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] void throw_kernel_failure(const char* op, const KernelFailure& failure);

template <class Args>
class KernelSlot {
 public:
  constexpr explicit KernelSlot(const char* op) : op_(op) {}

  // By the dtype that the op computes in; its own header says which operand that is.
  void fill_plain(DType dtype, Kernel<Args> kernel) { plain_[index(dtype)] = kernel; }
  void fill(Device::Kind kind, DType dtype, Kernel<Args> kernel) { fast_[kind][index(dtype)] = kernel; }

  // UserError that says what is missing.
  const Kernel<Args>& find(Device device, DType dtype) const {
    ensure_kernel_slots(device.kind);
    const Kernel<Args>& fast = fast_[device.kind][index(dtype)];
    if (fast.run && !(device.kind == Device::CPU && plain_kernels())) return fast;
    const Kernel<Args>& plain = plain_[index(dtype)];
    if (device.kind == Device::CPU && plain.run) return plain;
    throw_missing_kernel(op_, device.kind, dtype);
  }
  std::size_t workspace(const Args& args, Device device, DType dtype) const {
    const Kernel<Args>& kernel = find(device, dtype);
    if (!kernel.workspace) return 0;
    try {
      return kernel.workspace(args);
    } catch (const KernelFailure& failure) {
      throw_kernel_failure(op_, failure);
    }
  }
  void run(const Args& args, std::span<std::byte> workspace, Device device, DType dtype) const {
    try {
      find(device, dtype).run(args, workspace);
    } catch (const KernelFailure& failure) {
      throw_kernel_failure(op_, failure);
    }
  }
  const Kernel<Args>& plain(DType dtype) const { return plain_[index(dtype)]; }
  const char* op() const { return op_; }

 private:
  static constexpr std::size_t index(DType dtype) { return static_cast<std::size_t>(dtype); }
  const char* op_;
  std::array<Kernel<Args>, kDTypeCount> plain_ = {};
  std::array<std::array<Kernel<Args>, kDTypeCount>, kDeviceKindCount> fast_ = {};
};

}  // namespace reprise
