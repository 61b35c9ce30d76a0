// Several CUDA devices in one program: copies from one to another, meters and limits of each.
#include <catch2/catch.hpp>

#include "reprise/core/cuda_plugin.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/model_subject.h"

using namespace reprise;
using namespace reprise::test;
using emulator::Schedule;

namespace {

struct Result {
  std::vector<std::byte> value, gradient;
  friend bool operator==(const Result&, const Result&) = default;
};

// A chain whose every second op runs on `other`; what lies between is released as soon as it is copied.
Result chain(Device other) {
  const Device first = Device::cuda(0);
  manual_seed(8);
  Tensor x = Tensor::randn({3000}).to(first);
  x.set_requires_grad(true);
  Tape tape;
  Tensor h = x;
  for (int i = 0; i < 3; ++i) h = tanh(exp(tanh(std::move(h)).to(other)).to(first));
  tape.backward(sum(h));
  return {bytes_of(h), bytes_of(x.grad())};
}

}  // namespace

TEST_CASE("cuda: a value goes to another device and back with the same bits, in every order of streams",
          "[cuda]") {
  if (cuda_report().devices.size() < 2) return;
  const Schedule schedule = GENERATE(Schedule::forward, Schedule::reverse, Schedule::random);
  INFO("schedule " << static_cast<int>(schedule) << ", seed 3");
  // What a stream runs can touch no memory of another device.
  const EmulatorSettings settings({.schedule = schedule, .seed = 3, .host_locked_out = true});
  const Result alone = chain(Device::cuda(0));
  const std::int64_t before = on_real_gpu() ? 0 : emulator_statistics().synchronizations;
  const Result together = chain(Device::cuda(1));
  CHECK(together == alone);
  // Of a chain: x comes from the host; its result and its gradient are read.
  if (!on_real_gpu()) CHECK(emulator_statistics().synchronizations - before == 1 + 2);
}

TEST_CASE("cuda: each device has its own meter and its own limit", "[cuda]") {
  if (cuda_report().devices.size() < 2) return;
  const EmulatorSettings settings({});
  const Device first = Device::cuda(0), second = Device::cuda(1);
  const Tensor x = Tensor::ones({1000}, {.device = first});
  const std::size_t on_first = memory::live(first), on_second = memory::live(second);
  {
    const Tensor y = x.to(second);
    CHECK(memory::live(first) == on_first);
    CHECK(memory::live(second) == on_second + 4000);
    CHECK(memory::reserved(second) >= memory::live(second));
  }
  CHECK(memory::live(second) == on_second);
  memory::set_limit(second, on_second + 4000);
  CHECK_THROWS_WITH(Tensor::ones({1001}, {.device = second}), Catch::Contains("out of memory on cuda:1"));
  CHECK(x.to(second).to_vector() == x.to_vector());
  const Tensor more = Tensor::ones({2000}, {.device = first});
  memory::set_limit(second, SIZE_MAX);
}

TEST_CASE("cuda: the meter of a device knows what its memory is for", "[cuda]") {
  const EmulatorSettings settings({});
  const Device device = cuda_device();
  const auto held = [&](memory::Tag tag) {
    const std::map<std::string, std::size_t> bytes = memory::by_tag(device);
    const auto found = bytes.find(std::string(to_string(tag)));
    return found == bytes.end() ? 0 : found->second;
  };
  const std::size_t parameters = held(memory::Tag::parameter), activations = held(memory::Tag::activation);
  const Tensor activation = Tensor::ones({10}, {.device = device});
  {
    const memory::TagScope scope(memory::Tag::parameter);
    const Tensor parameter = Tensor::ones({1000}).to(device);
    CHECK(held(memory::Tag::parameter) == parameters + 4000);
    CHECK(held(memory::Tag::activation) == activations + 40);
  }
  CHECK(held(memory::Tag::parameter) == parameters);
}

TEST_CASE("cuda: trim gives back what was released, also behind work that is not done", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  DeviceServices& device = services(cuda_device());
  device.synchronize();
  const std::size_t reserved = device.reserved();
  device.release(device.allocate(4096), 4096);
  REQUIRE(device.reserved() > reserved);
  device.trim(0);
  CHECK(device.reserved() == reserved);
}
