// The device services of the CPU (core/device.h).
#include <cstring>

#include "reprise/core/device.h"
#include "reprise/cpu/allocator.h"

namespace reprise {

namespace {

struct CpuServices final : DeviceServices {
  void* allocate(std::size_t bytes) override { return allocator.allocate(bytes); }
  void release(void* data, std::size_t bytes) noexcept override { allocator.release(data, bytes); }
  std::size_t reserved() const override { return allocator.reserved(); }
  void trim(std::size_t target) override { allocator.trim(target); }
  void set_limit(std::size_t bytes) override { allocator.set_limit(bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void synchronize() override {}

  cpu::Allocator allocator;
};

}  // namespace

DeviceServices& cpu_services() {
  static CpuServices* services = new CpuServices;  // never destroyed: static tensors may outlive it otherwise
  return *services;
}

}  // namespace reprise
