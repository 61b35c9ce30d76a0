// Tapes, recordings, regions, NoGrads and dry runs that end on another thread, in another order, or around each other.
#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/op_timer.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

void elsewhere(const std::function<void()>& f) { std::thread(f).join(); }

// A step works on this thread, as if nothing had been.
void check_step(const Tensor& x) {
  release_grads({&x, 1});
  Tape tape;
  tape.backward(sum(checkpoint::run([&] { return squash(sine(x)); })));
  CHECK(x.grad().defined());
  release_grads({&x, 1});
}

}  // namespace

TEST_CASE("a tape that ends on another thread: the next op of its own thread says so, once", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  auto tape = std::make_unique<Tape>();
  const Tensor loss = sum(sine(x));
  const std::size_t before = live_bytes();
  elsewhere([&] { tape.reset(); });
  CHECK(live_bytes() <= before);
  CHECK_THROWS_WITH(sine(x), Contains("ended on another thread"));
  CHECK_FALSE(sine(x).requires_grad());
  check_step(x);
  CHECK(bits(loss).size() == 1);
}

TEST_CASE("a tape that ends on another thread does not keep its thread from opening another", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  auto tape = std::make_unique<Tape>();
  elsewhere([&] { tape.reset(); });
  check_step(x);
}

TEST_CASE("a tape that is not recording may end on any thread, also after its own", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  auto tape = std::make_unique<Tape>(TapeOptions{.start = false});
  elsewhere([&] { tape.reset(); });
  CHECK_FALSE(sine(x).requires_grad());
  elsewhere([&] { tape = std::make_unique<Tape>(); });
  tape.reset();
  check_step(x);
}

TEST_CASE("a recording that ends late or elsewhere stops its own tape only", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  auto first = std::make_unique<Tape>(TapeOptions{.start = false});
  auto recording = std::make_unique<Tape::Recording>(*first);
  CHECK(sine(x).requires_grad());
  first.reset();  // before its recording
  Tape second;
  recording.reset();
  CHECK(sine(x).requires_grad());
  CHECK(second.nodes() == 1);
}

TEST_CASE("a recording that ends on another thread stops the tape of its own thread, which says so",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape({.start = false});
  auto recording = std::make_unique<Tape::Recording>(tape);
  elsewhere([&] { recording.reset(); });
  CHECK_THROWS_WITH(sine(x), Contains("ended on another thread"));
  const Tape::Recording again(tape);
  tape.backward(sum(sine(x)));
  CHECK(x.grad().defined());
}

TEST_CASE("NoGrads that end in any order, on any thread, pause as long as one lives", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  auto a = std::make_unique<NoGrad>(), b = std::make_unique<NoGrad>();
  a.reset();
  CHECK_FALSE(sine(x).requires_grad());
  elsewhere([&] {
    const Tape other;
    b.reset();
    CHECK(sine(x).requires_grad());
  });
  CHECK(sine(x).requires_grad());
  CHECK(tape.nodes() == 1);
}

TEST_CASE("a region that ends on another thread is reported by its tape", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  auto region = std::make_unique<checkpoint::Region>();
  const Tensor loss = sum(squash(sine(x)));
  std::string message;
  elsewhere([&] {
    try {
      region->end();
    } catch (const UserError& error) {
      message = error.what();
    }
    region.reset();
  });
  CHECK_THAT(message, Contains("another thread"));
  CHECK_THROWS_WITH(tape.backward(loss), Contains("another thread"));
  tape.backward(loss);
  CHECK(x.grad().defined());
}

TEST_CASE("a dry run that ends on another thread ends: bytes, random numbers and tapes are real again",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const auto random = random_state();
  auto dry = std::make_unique<DryRun>();
  Tensor made = Tensor::randn({4});
  elsewhere([&] { dry.reset(); });
  CHECK_FALSE(is_dry_run());
  CHECK(random_state().offset == random.offset);
  CHECK_THROWS_WITH(made * 2.0, Contains("dry run that has ended"));
  check_step(x);
  dry = std::make_unique<DryRun>();
  CHECK(is_dry_run());
  elsewhere([&] { dry.reset(); });
  const Tensor real = Tensor::ones({4});
  CHECK(real.to_vector().size() == 4);
  elsewhere([&] { dry = std::make_unique<DryRun>(); });
  dry.reset();  // its thread is gone
  CHECK_FALSE(is_dry_run());
}

TEST_CASE("a dry run spends nothing of a tape that was open before", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  const Tensor loss = sum(squash(sine(x)));
  {
    const DryRun dry;
    CHECK_THROWS_WITH(tape.backward(loss), Contains("before the dry run"));
    CHECK_THROWS_WITH(tape.gradients(loss, {x}), Contains("before the dry run"));
    CHECK_THROWS_WITH(Tape::Recording(tape), Contains("before the dry run"));
  }
  CHECK(tape.nodes() == 3);
  tape.backward(loss);
  CHECK(x.grad().defined());
}

TEST_CASE("a tape that was open before a dry run records nothing in it", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  Tensor dry_loss;
  {
    const DryRun dry;
    dry_loss = checkpoint::run([&] { return sum(squash(x * random_constant({4}, 2))); });
    CHECK(tape.nodes() == 0);
    CHECK(tape.state().innermost == 0);
  }
  CHECK_THROWS_WITH(tape.backward(dry_loss), Contains("dry run that has ended"));
  const Tensor loss = sum(sine(x));
  CHECK_THROWS_WITH(tape.backward(loss, {.seed = dry_loss}), Contains("dry run that has ended"));
  tape.backward(loss);
  CHECK(x.grad().defined());
}

TEST_CASE("a tape of a dry run refuses everything once the dry run has ended", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  std::optional<Tape> tape;
  Tensor loss;
  {
    const DryRun dry;
    tape.emplace();
    loss = sum(squash(sine(x)));
  }
  CHECK_THROWS_WITH(sine(x), Contains("dry run that has ended"));
  CHECK_THROWS_WITH(checkpoint::Region(), Contains("dry run that has ended"));
  CHECK_THROWS_WITH(tape->backward(loss), Contains("dry run that has ended"));
  {
    const DryRun another;
    CHECK_THROWS_WITH(tape->backward(loss), Contains("dry run"));
  }
  tape.reset();
  check_step(x);
}

TEST_CASE("a dry run undoes set_requires_grad", "[engine]") {
  const Tensor x = random_leaf({4}, 1), constant = random_constant({4}, 2);
  const auto tags = memory::by_tag(Device::cpu());
  {
    const DryRun dry;
    x.set_requires_grad(false);
    constant.set_requires_grad(true);
    const Tensor handle = x.detach();
    handle.set_requires_grad(true);
  }
  CHECK(x.requires_grad());
  CHECK_FALSE(constant.requires_grad());
  CHECK(memory::by_tag(Device::cpu()) == tags);
}

TEST_CASE("copies offloaded in a dry run count in the dry run alone", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  reset_peak_offloaded_bytes();
  const std::size_t live = offloaded_bytes(), peak = peak_offloaded_bytes();
  std::optional<Tape> late;
  {
    const DryRun dry;
    late.emplace();
    const Tensor h = checkpoint::run(checkpoint::Policy::offload(), [&] { return sum(squash(sine(x))); });
    CHECK(offloaded_bytes() > live);
    CHECK(peak_offloaded_bytes() > peak);
  }
  CHECK(offloaded_bytes() == live);
  CHECK(peak_offloaded_bytes() == peak);
  late.reset();
  CHECK(offloaded_bytes() == live);
}

TEST_CASE("op timers that end in any order, or on another thread: the youngest that lives hears",
          "[engine]") {
  struct Count : OpTimer {
    int ops = 0;
    void ran(const Op&, std::span<const ConstView>, std::span<const View>, double) override { ++ops; }
  } first, second;
  const Tensor x = random_leaf({4}, 1);
  auto a = std::make_unique<TimedOps>(first), b = std::make_unique<TimedOps>(second);
  sine(x);
  a.reset();
  sine(x);
  elsewhere([&] { b.reset(); });
  sine(x);
  CHECK(first.ops == 0);
  CHECK(second.ops == 2);
}

TEST_CASE("many tapes that live at once end in any order", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  std::vector<std::unique_ptr<Tape>> tapes;
  for (int i = 0; i < 20000; ++i) tapes.push_back(std::make_unique<Tape>(TapeOptions{.start = false}));
  for (std::size_t i = 0; i < tapes.size(); i += 2) tapes[i].reset();
  tapes.clear();
  check_step(x);
}

TEST_CASE("regions inside each other: the cost of one does not grow with the depth", "[engine]") {
  const Tensor x = random_leaf({1}, 1);
  const auto seconds_per_region = [&](int depth) {
    const std::clock_t start = std::clock();
    Tape tape;
    std::vector<std::unique_ptr<checkpoint::Region>> regions;
    Tensor h = x;
    for (int i = 0; i < depth; ++i) {
      regions.push_back(std::make_unique<checkpoint::Region>());
      h = sine(std::move(h));
    }
    while (!regions.empty()) regions.pop_back();
    return static_cast<double>(std::clock() - start) / depth;
  };
  seconds_per_region(1000);
  double shallow = 1e30, deep = 1e30;
  for (int round = 0; round < 3; ++round) {
    shallow = std::min(shallow, seconds_per_region(2000));
    deep = std::min(deep, seconds_per_region(20000));
  }
  CHECK(deep < 4 * shallow);
}
