// The device services of the CPU (core/device.h).
#include <fmt/format.h>

#include <cstring>
#include <new>

#include "reprise/core/device.h"
#include "reprise/core/error.h"
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
  // Apart from the allocator's, whose bound is on tensors.
  void* allocate_host(std::size_t bytes) override {
    void* host = ::operator new(bytes, std::nothrow);
    if (!host)
      throw OutOfMemory(fmt::format("out of host memory: an offloaded copy asked for {} bytes", bytes));
    return host;
  }
  void release_host(void* host, std::size_t) noexcept override { ::operator delete(host); }
  void copy_out(void* host, const void* data, std::size_t bytes) override { copy(host, data, bytes); }
  void copy_in(void* data, const void* host, std::size_t bytes) override { copy(data, host, bytes); }
  void synchronize() override {}

  cpu::Allocator allocator;
};

}  // namespace

DeviceServices& cpu_services() {
  static CpuServices* services = new CpuServices;  // never destroyed: static tensors may outlive it otherwise
  return *services;
}

}  // namespace reprise
