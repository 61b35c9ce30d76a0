#include "reprise/core/kernel_slot.h"

#include <fmt/format.h>

#include <atomic>

namespace reprise {

namespace {

std::atomic<bool> plain_only{false};

}  // namespace

void set_plain_kernels(bool plain) { plain_only.store(plain, std::memory_order_relaxed); }

bool plain_kernels() { return plain_only.load(std::memory_order_relaxed); }

void throw_missing_kernel(const char* op, Device::Kind kind, DType dtype) {
  throw UserError(fmt::format("{} has no {} kernel on {}; convert with to(DType) or move with to(Device)", op,
                              to_string(dtype), kind == Device::CPU ? "cpu" : "cuda"));
}

void throw_kernel_failure(const char* op, const KernelFailure& failure) {
  throw DeviceError(fmt::format("{}: {}", op, failure.what()));
}

}  // namespace reprise
