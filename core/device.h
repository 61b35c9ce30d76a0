#pragma once
// Where bytes live.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "reprise/core/random.h"

namespace reprise {

struct Device {
  enum Kind : std::uint8_t { CPU, CUDA } kind = CPU;
  int index = 0;
  static Device cpu() { return {CPU, 0}; }
  static Device cuda(int index = 0) { return {CUDA, index}; }
  friend auto operator<=>(const Device&, const Device&) = default;
};
inline constexpr int kDeviceKindCount = 2;

// "cpu", "cuda:0"
std::string to_string(Device device);

constexpr std::size_t MiB(std::size_t n) { return n << 20; }
constexpr std::size_t GiB(std::size_t n) { return n << 30; }

// A step that a device can be asked for again as a whole.
struct CapturedStep {
  virtual ~CapturedStep() = default;
  // Behind the device's other work; the host waits for nothing. Its random numbers begin at `random`.
  virtual void launch(RandomAddress random) = 0;
  virtual std::size_t bytes() const = 0;  // of the device's memory that it keeps
};
// Where the device is on the way to one. Warming up: the step runs as ever, so that what is made at a first use is there, and
// state outside the tape stays as it is. Capturing: nothing runs, what the device is asked for is noted.
enum class StepCapture : std::uint8_t { none, warming_up, capturing };

// The services a backend gives for one kind of device; the only virtual calls between core and a backend.
struct DeviceServices {
  virtual ~DeviceServices() = default;
  // At least `bytes` bytes, 64-byte aligned. Throws OutOfMemory when the device has none left; the meter and
  // the limit are the caller's business (core/memory.h).
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data, std::size_t bytes) noexcept = 0;
  // Bytes taken from the system: live and cached.
  virtual std::size_t reserved() const = 0;
  // Gives cached bytes back until `reserved()` is at most `target`, or nothing cached is left.
  virtual void trim(std::size_t target) = 0;
  // From here on `allocate` gives cached bytes back rather than let `reserved()` pass this, and throws OutOfMemory where
  // that is not enough. (By at most 16 MiB it may pass: blocks are rounded up, and the limit on live bytes is exact.)
  virtual void set_limit(std::size_t) {}
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;

  // Copies that leave the device for a while and come back, beside its other work. `allocate_host` gives memory of the host
  // that the device copies from and to by itself (page-locked on CUDA), or throws OutOfMemory. `copy_out` copies what the
  // work asked for until then leaves in `data`, which may be read and released from here on but not be written; work asked
  // for after `copy_in` finds the bytes. Host memory may be released at once, but read and written only after `synchronize`.
  virtual void* allocate_host(std::size_t bytes) = 0;
  virtual void release_host(void* host, std::size_t bytes) noexcept = 0;
  virtual void copy_out(void* host, const void* data, std::size_t bytes) = 0;
  virtual void copy_in(void* data, const void* host, std::size_t bytes) = 0;

  // Returns when all work and all copies asked for are done.
  virtual void synchronize() = 0;

  // Runs `warm_up`, then `step` under capture (core/cuda_graph.h), whose random numbers are those that the thread's generator has
  // then: a launch draws those that follow its own. Both ask for the same memory in the same order, and leave
  // it as it was but for what the step makes. UserError where the device captures nothing; after any error it goes on as before.
  virtual std::unique_ptr<CapturedStep> capture(const std::function<void()>& warm_up,
                                                const std::function<void()>& step);
  virtual StepCapture step_capture() const { return StepCapture::none; }
};

// Throws UserError for a device that this program cannot use ("no CUDA device: ...").
DeviceServices& services(Device device);

// The cpu backend's (cpu/services.cpp).
DeviceServices& cpu_services();

}  // namespace reprise
