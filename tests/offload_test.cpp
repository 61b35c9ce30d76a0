// Values of a region copied out of the device, to host memory or to files, and fetched for backward.
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <optional>

#include "reprise/autograd/offload.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/memory.h"
#include "reprise/tests/engine_program.h"
#include "reprise/tests/model_subject.h"
#include "reprise/tests/temporary_folder.h"

using namespace reprise;
using namespace reprise::test;

namespace {

std::ptrdiff_t files_in(const TemporaryFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path()),
                       std::filesystem::directory_iterator());
}

// tanh of tanh of tanh, offloaded: two values are copied out, for the outputs are saved, and the third is the result.
struct Steps {
  Tensor x = random_leaf({64}, 1);
  Tensor forward() const {
    return checkpoint::run(checkpoint::Policy::offload(), [&] { return squash(squash(squash(x))); });
  }
  Bits gradient(bool offload) const {
    x.set_grad({});
    Tape tape;
    const Tensor h = offload ? forward() : squash(squash(squash(x)));
    tape.backward(h, {.seed = Tensor::ones({64}, {.dtype = DType::f64})});
    CHECK(tape.replays() == 0);
    return bits(x.grad());
  }
};

}  // namespace

TEST_CASE("offloaded values come back with the same bits, from host memory and from files", "[checkpoint]") {
  const Steps steps;
  const Bits plain = steps.gradient(false);
  const TemporaryFolder folder;
  const bool to_files = GENERATE(false, true);
  INFO("to files " << to_files);
  std::optional<OffloadToFolder> files;
  if (to_files) files.emplace(folder.path());
  reset_peak_offloaded_bytes();
  const std::size_t live = memory::live(Device::cpu());
  {
    Tape tape;
    Tensor h = steps.forward();
    CHECK(memory::live(Device::cpu()) == live + h.bytes());  // the device holds the result only
    CHECK(offloaded_bytes() == 3 * h.bytes());
    CHECK(files_in(folder) == (to_files ? 3 : 0));
  }
  CHECK(offloaded_bytes() == 0);
  CHECK(files_in(folder) == 0);
  CHECK(steps.gradient(true) == plain);
  CHECK(peak_offloaded_bytes() == 3 * steps.x.bytes());
  CHECK(files_in(folder) == 0);
}

TEST_CASE("a whole model with its blocks offloaded to files has the same bits, and its peak is foretold",
          "[checkpoint]") {
  Subject subject("gpt");
  const Outcome plain = take_step(subject, {}, false, nullptr);
  const TemporaryFolder folder;
  const OffloadToFolder files(folder.path());
  subject.reset();
  const Trace trace = checkpoint::trace(subject.step());
  checkpoint::PlanBuilder builder(trace);
  const auto nodes = static_cast<std::int32_t>(trace.nodes.size());
  builder.region(0, nodes / 2);
  for (std::int32_t n = 0; n < nodes / 2; ++n)
    for (const std::int32_t v : trace.nodes[static_cast<std::size_t>(n)].outputs)
      builder.decide(v, Decision::offload);
  Plan plan = std::move(builder).finish();
  const checkpoint::Simulation simulation = checkpoint::simulate(trace, plan);
  const Outcome outcome = take_step(subject, {}, false, &plan);
  CHECK(outcome.bits == plain.bits);
  CHECK(outcome.peak == simulation.peak_bytes);
  CHECK(outcome.replays == 0);
  CHECK(files_in(folder) == 0);
}

TEST_CASE("an offloaded file that vanished or was cut is an error of the backward, which may be called again",
          "[checkpoint]") {
  const Steps steps;
  const Bits plain = steps.gradient(false);
  const bool cut = GENERATE(false, true);
  INFO("cut " << cut);
  const TemporaryFolder folder, aside;
  const OffloadToFolder files(folder.path());
  steps.x.set_grad({});
  Tape tape;
  const Tensor h = steps.forward();
  for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
    std::filesystem::copy(file.path(), aside.path());
    if (cut)
      std::filesystem::resize_file(file.path(), 100);
    else
      std::filesystem::remove(file.path());
  }
  const auto backward = [&] { tape.backward(h, {.seed = Tensor::ones({64}, {.dtype = DType::f64})}); };
  const std::size_t live = memory::live(Device::cpu());
  CHECK_THROWS_AS(backward(), FileError);
  CHECK_THROWS_WITH(backward(),
                    Catch::Contains(folder.path()) &&
                        Catch::Contains(cut ? "bytes of an offloaded value are missing" : "No such file"));
  CHECK(memory::live(Device::cpu()) == live);
  CHECK_FALSE(steps.x.grad().defined());
  for (const auto& file : std::filesystem::directory_iterator(aside.path()))
    std::filesystem::copy(file.path(), folder.path(), std::filesystem::copy_options::overwrite_existing);
  backward();
  CHECK(bits(steps.x.grad()) == plain);
}

TEST_CASE("a disk that takes no more is an error of the record, which changes nothing", "[checkpoint]") {
  const Steps steps;
  const TemporaryFolder folder;
  const OffloadToFolder files(folder.path());
  Tape tape;
  const std::size_t live = memory::live(Device::cpu());
  {
    // No file of this process may grow beyond 100 bytes, as on a disk that is full in the middle of a write.
    struct Full {
      rlimit before{};
      void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
      Full() {
        getrlimit(RLIMIT_FSIZE, &before);
        const rlimit full{100, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &full);
      }
      ~Full() {
        setrlimit(RLIMIT_FSIZE, &before);
        std::signal(SIGXFSZ, handler);
      }
    } const full;
    CHECK_THROWS_AS(steps.forward(), FileError);
  }
  CHECK(files_in(folder) == 0);
  CHECK(offloaded_bytes() == 0);
  CHECK(memory::live(Device::cpu()) == live);
  CHECK(tape.nodes() == 0);
  CHECK_THROWS_WITH(OffloadToFolder("/there/is/no/such/folder"), Catch::Contains("No such file"));
}
