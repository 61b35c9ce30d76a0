// Values offloaded from a CUDA device: page-locked memory and its cache, copies that run beside the kernels, the same bits and
// the predicted peak in whichever order the streams go on.
#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "reprise/autograd/offload.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/model_subject.h"
#include "reprise/tests/temporary_folder.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;
using emulator::Schedule;

namespace {

constexpr std::int64_t kMiB = 1 << 20;

// tanh of tanh of tanh, all three offloaded where a region is asked for.
Tensor squashed(const Tensor& x, bool offload) {
  const auto chain = [&] { return tanh(tanh(tanh(x))); };
  return offload ? checkpoint::run(checkpoint::Policy::offload(), chain) : chain();
}

Tensor leaf(Device device) {
  manual_seed(5);
  Tensor x = Tensor::randn({3000}).to(device);
  x.set_requires_grad(true);
  return x;
}

std::vector<std::byte> gradient(const Tensor& x, bool offload) {
  x.set_grad({});
  Tape tape;
  tape.backward(sum(squashed(x, offload)));
  CHECK(tape.replays() == 0);
  return bytes_of(x.grad());
}

}  // namespace

TEST_CASE("cuda: page-locked memory is kept for copies of the same size, and no more than was in use",
          "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  DeviceServices& device = services(cuda_device());
  constexpr std::size_t kBlock = 16 * kMiB;  // more than other tests use, so that these make the highest use
  void *first = device.allocate_host(kBlock), *second = device.allocate_host(kBlock);
  CHECK(emulator_statistics().page_locked_bytes >= 2 * 16 * kMiB);
  device.release_host(first, kBlock);
  device.release_host(second, kBlock);
  const std::int64_t made = emulator_statistics().page_locked_allocations;
  void* again = device.allocate_host(kBlock - 1);  // the same number of pages
  CHECK((again == first || again == second));
  CHECK(emulator_statistics().page_locked_allocations == made);

  // Another size: the kept block makes room, since 16 + 16 + 8 MiB were never in use together.
  void* other = device.allocate_host(8 * kMiB);
  CHECK(emulator_statistics().page_locked_allocations == made + 1);
  CHECK(emulator_statistics().page_locked_bytes <= 2 * 16 * kMiB);
  device.release_host(again, kBlock - 1);
  device.release_host(other, 8 * kMiB);

  // Where the host has no more, what is kept is given back before anything fails.
  const EmulatorSettings little({.most_page_locked_bytes = 25 * kMiB});
  void* large = device.allocate_host(24 * kMiB);
  CHECK(emulator_statistics().page_locked_bytes == 24 * kMiB);
  CHECK_THROWS_AS(device.allocate_host(2 * kMiB), OutOfMemory);
  CHECK_THROWS_WITH(
      device.allocate_host(2 * kMiB),
      "out of page-locked host memory: cudaHostAlloc has no 2097152 bytes for an offloaded copy, "
      "25165824 bytes are in use by others; offload less, or to files (OffloadToFolder)");
  device.release_host(large, 24 * kMiB);
  void* fits = device.allocate_host(2 * kMiB);
  device.release_host(fits, 2 * kMiB);
}

TEST_CASE("cuda: page-locked memory is given back to the host when the copies out to it are made", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings little({.most_page_locked_bytes = 24 * kMiB});
  DeviceServices& device = services(cuda_device());
  constexpr std::size_t kBytes = 4096;
  void *buffer = device.allocate(kBytes), *host = device.allocate_host(24 * kMiB);
  device.copy_out(host, buffer, kBytes);
  device.release_host(host, 24 * kMiB);
  void* other = device.allocate_host(12 * kMiB);  // makes room
  device.release_host(other, 12 * kMiB);
  device.release(buffer, kBytes);
  CHECK_NOTHROW(device.synchronize());
  CHECK(emulator_last_fault().empty());
}

TEST_CASE("cuda: offloaded values are counted, and come back with the same bits from memory and from files",
          "[cuda]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  const Tensor x = leaf(device);
  const std::vector<std::byte> plain = gradient(x, false);
  {
    const std::size_t live = memory::live(device);
    Tape tape;
    const Tensor h = squashed(x, true);
    CHECK(memory::live(device) == live + h.bytes());  // the result only
    CHECK(offloaded_bytes() == 3 * h.bytes());
  }
  CHECK(offloaded_bytes() == 0);
  const std::int64_t made = on_real_gpu() ? 0 : emulator_statistics().page_locked_allocations;
  CHECK(gradient(x, true) == plain);
  CHECK(gradient(x, true) == plain);
  if (!on_real_gpu()) CHECK(emulator_statistics().page_locked_allocations == made);
  const TemporaryFolder folder;
  const OffloadToFolder files(folder.path());
  CHECK(gradient(x, true) == plain);
}

TEST_CASE("cuda: without page-locked memory a record fails and changes nothing", "[cuda]") {
  if (on_real_gpu()) return;
  const Tensor x = leaf(cuda_device());
  const std::vector<std::byte> plain = gradient(x, false);
  const std::size_t live = memory::live(cuda_device());
  Tape tape;
  {
    const EmulatorSettings none({.most_page_locked_bytes = 0});
    CHECK_THROWS_AS(services(cuda_device()).allocate_host(kMiB), OutOfMemory);  // nothing is kept any more
    CHECK_THROWS_AS(squashed(x, true), OutOfMemory);
    CHECK_THROWS_WITH(squashed(x, true), Contains("out of page-locked host memory"));
  }
  CHECK(tape.nodes() == 0);
  CHECK(offloaded_bytes() == 0);
  CHECK(memory::live(cuda_device()) == live);
  x.set_grad({});
  tape.backward(sum(squashed(x, true)));
  CHECK(bytes_of(x.grad()) == plain);
}

TEST_CASE("cuda: kernels do not wait for copies out, nor the host for any copy", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const Tensor x = leaf(cuda_device());
  const auto synchronizations = [&](bool offload) {
    const std::int64_t before = emulator_statistics().synchronizations;
    x.set_grad({});
    Tape tape;
    tape.backward(sum(squashed(x, offload)));
    return emulator_statistics().synchronizations - before;
  };
  synchronizations(true);  // page-locked memory is found
  CHECK(synchronizations(false) == 0);
  CHECK(synchronizations(true) == 0);

  services(cuda_device()).synchronize();
  CHECK(emulator_statistics().waiting_work == 0);
  Tape tape;
  const Tensor h = squashed(x, true);
  h.at({0});  // the kernels are done
  CHECK(emulator_statistics().waiting_work > 0);
  services(cuda_device()).synchronize();
  CHECK(emulator_statistics().waiting_work == 0);
}

TEST_CASE("cuda: a copy back is made after what was asked of its buffer before", "[cuda]") {
  const Schedule schedule = GENERATE(Schedule::forward, Schedule::reverse, Schedule::random);
  INFO("schedule " << static_cast<int>(schedule) << ", seed 3");
  const EmulatorSettings settings({.schedule = schedule, .seed = 3});
  DeviceServices& device = services(cuda_device());
  constexpr std::size_t kBytes = 4096;
  const std::vector<std::byte> before(kBytes, std::byte{1}), offloaded(kBytes, std::byte{2});
  std::vector<std::byte> read(kBytes);
  void *buffer = device.allocate(kBytes), *other = device.allocate(kBytes),
       *host = device.allocate_host(kBytes);
  std::memcpy(host, offloaded.data(), kBytes);
  device.copy(other, before.data(), kBytes);
  device.copy(buffer, other, kBytes);  // on the device: the host does not wait for it
  device.copy_in(buffer, host, kBytes);
  device.copy(read.data(), buffer, kBytes);
  CHECK(read == offloaded);
  device.release(buffer, kBytes);
  device.release(other, kBytes);
  device.release_host(host, kBytes);
}

TEST_CASE("cuda: with REPRISE_CUDA_SYNCHRONIZE the host waits for copies out and back", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const SynchronizedLaunches synchronized;
  DeviceServices& device = services(cuda_device());
  constexpr std::size_t kBytes = 4096;
  void *buffer = device.allocate(kBytes), *host = device.allocate_host(kBytes);
  device.synchronize();
  device.copy_out(host, buffer, kBytes);
  CHECK(emulator_statistics().waiting_work == 0);
  device.copy_in(buffer, host, kBytes);
  CHECK(emulator_statistics().waiting_work == 0);
  device.release(buffer, kBytes);
  device.release_host(host, kBytes);
}

TEST_CASE(
    "cuda: a gpt whose blocks are offloaded has the same bits in every order of streams, and the predicted "
    "peak",
    "[cuda]") {
  const Device device = cuda_device();
  const Schedule schedule = GENERATE(Schedule::forward, Schedule::reverse, Schedule::random);
  INFO("schedule " << static_cast<int>(schedule) << ", seed 3");
  const EmulatorSettings settings({.schedule = schedule, .seed = 3});
  Subject subject("gpt");
  subject.to(device);
  const Outcome plain = take_step(subject, {}, false, nullptr);
  subject.reset();
  const Trace trace = checkpoint::trace(subject.step());
  const Plan plan = offloading_plan(trace);
  subject.reset();
  const checkpoint::Simulation simulation = checkpoint::simulate(trace, plan);
  const Outcome outcome = take_step(subject, {}, false, &plan);
  CHECK(outcome.bits == plain.bits);
  CHECK(outcome.peak == simulation.peak_bytes);
  CHECK(outcome.peak < plain.peak);
  CHECK(outcome.replays == 0);
}
