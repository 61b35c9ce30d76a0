// Online eviction: within the budget, with the same bits, at about two forward passes on a chain.
#include <catch2/catch.hpp>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/tests/engine_program.h"
#include "reprise/tests/model_subject.h"

using namespace reprise;
using namespace reprise::test;

namespace {

const Device cpu = Device::cpu();

// A step under a budget: within it, and with the bits of `plain`.
void check_budget(Subject& subject, const Outcome& plain, std::size_t budget) {
  subject.reset();
  memory::reset_peak(cpu);
  {
    Tape tape;
    const checkpoint::OnlineEviction eviction(tape, budget);
    tape.backward(subject.loss({}, false));
    CHECK(eviction.evictions() > 0);
    CHECK(tape.replays() > 0);
  }
  CHECK(memory::peak_without_data(cpu) <= budget);
  CHECK(memory::limit(cpu) == SIZE_MAX);
  std::size_t i = 1;  // after the loss
  for (const Tensor& parameter : subject.model.parameters())
    CHECK(bytes_of(parameter.grad()) == plain.bits[i++]);
}

void check_model(nn::Model model, std::int64_t batch, std::initializer_list<std::size_t> percents) {
  Subject subject(std::move(model), batch);
  subject.reset();
  const std::size_t base = memory::live(cpu);
  const Outcome plain = take_step(subject, {}, false, nullptr);
  for (const std::size_t percent : percents) {
    INFO(subject.model.name() << " at " << percent << "%");
    check_budget(subject, plain, base + (plain.peak - base) * percent / 100);
  }
}

}  // namespace

TEST_CASE("online eviction on a chain of N with 2 sqrt(N) values runs at most 2.2 N ops", "[planners]") {
  for (const std::int64_t length : {64, 256, 1024, 4096}) {
    INFO("N = " << length);
    const Tensor x = random_leaf({16}, 1);
    const std::size_t unit = x.bytes();
    const auto step = [&](Tape& tape) {
      Tensor h = x;
      for (std::int64_t i = 0; i < length; ++i) h = sine(std::move(h));
      tape.backward(h, {.seed = Tensor::ones({16}, {.dtype = DType::f64})});
      return tape.replays();
    };
    {
      Tape tape;
      CHECK(step(tape) == 0);
    }
    const Bits plain = bits(x.grad());
    x.set_grad({});
    const std::size_t live = memory::live(cpu);
    const auto values = static_cast<std::size_t>(2 * std::sqrt(static_cast<double>(length)));
    memory::reset_peak(cpu);
    std::int64_t replays = 0;
    {
      Tape tape;
      const checkpoint::OnlineEviction eviction(tape, live + values * unit);
      replays = step(tape);
      CHECK(eviction.evictions() > 0);
    }
    CHECK(memory::peak(cpu) <= live + values * unit);
    CHECK(bits(x.grad()) == plain);
    const double ops = static_cast<double>(length + replays) / static_cast<double>(length);
    INFO("ops per N " << ops);
    CHECK(ops <= 2.2);
    CHECK(ops > 1.5);  // it cannot be had for nothing
  }
}

TEST_CASE("online eviction: models within a budget have the same bits", "[planners]") {
  check_model(
      nn::make_gpt({.vocabulary = 17, .context = 64, .layers = 4, .width = 32, .heads = 2, .dropout = 0.2}),
      4, {80, 60, 40});
}

TEST_CASE("online eviction: gpt and resnet50 at 40% of their activations", "[planners][slow]") {
  check_model(nn::make_model("gpt"), 4, {40});
  check_model(nn::make_model("resnet50"), 8, {40});
}

TEST_CASE("online eviction: what cannot be is refused, and afterwards all is as before", "[planners]") {
  const Tensor x = random_leaf({64}, 1);
  {
    Tape tape;
    const checkpoint::OnlineEviction eviction(tape, memory::live(cpu) + 3 * x.bytes());
    CHECK_THROWS_WITH(checkpoint::OnlineEviction(tape, 1000), Catch::Contains("another"));
    Tensor a = sine(x), b = sine(a), c = sine(b);  // all held by the user
    CHECK_THROWS_AS(sine(c), OutOfMemory);
  }
  CHECK(memory::limit(cpu) == SIZE_MAX);
  const DryRun dry;
  Tape tape;
  CHECK_THROWS_WITH(checkpoint::OnlineEviction(tape, 1000), Catch::Contains("dry run"));
}
