// Whole models under every strategy: loss, every gradient and the running statistics are the same bits; the peak is the
// predicted one, to the byte; nodes are replayed exactly as often as a count that knows nothing of the engine says.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "reprise/autograd/tape_state.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/model_subject.h"
#include "reprise/tests/random_plan.h"

using namespace reprise;
using namespace reprise::test;

namespace {

const Device cpu = Device::cpu();
using Kind = nn::CheckpointSetting::Kind;

struct Prediction {
  std::size_t peak;
  std::int64_t replays;
};

Prediction predict(Subject& subject, nn::CheckpointSetting setting, bool nested) {
  subject.reset();
  const DryRun dry;
  memory::reset_peak(cpu);
  Tape tape;
  Tensor loss = subject.loss(setting, nested);
  tape.backward(loss);
  return {memory::peak(cpu), tape.replays()};
}

// Replays of regions that do not nest, counted from the definition: inside each, what its tracked nodes saved and what
// that needs, back to the region's first node; every node once.
std::int64_t count_replays(Subject& subject, nn::CheckpointSetting setting) {
  subject.reset();
  const DryRun dry;
  Tape tape;
  const Tensor loss = subject.loss(setting, false);
  const Trace trace = tape.trace();
  const auto keeps = [&](const TraceNode& node) {
    std::size_t bytes = 0;
    for (const std::int32_t v : node.outputs) bytes += trace.values[static_cast<std::size_t>(v)].bytes;
    return setting.kind == Kind::recompute_cheap && node.flops >= 16 * static_cast<double>(bytes);
  };
  std::int64_t count = 0;
  for (const Region& region : tape.state().regions) {
    if (region.parent != 0) continue;
    std::vector<bool> needed(trace.values.size());  // by storage
    const auto storage = [&](std::int32_t v) {
      return static_cast<std::size_t>(trace.values[static_cast<std::size_t>(v)].storage);
    };
    for (std::int32_t n = region.last - 1; n >= region.first; --n) {
      const TraceNode& node = trace.nodes[static_cast<std::size_t>(n)];
      for (const std::int32_t v : node.saved) needed[storage(v)] = true;
      const bool view = trace.values[static_cast<std::size_t>(node.outputs[0])].storage ==
                        trace.values[static_cast<std::size_t>(node.inputs[0])].storage;
      bool run = false;
      for (const std::int32_t v : node.outputs) run |= !view && !keeps(node) && needed[storage(v)];
      if (!run) continue;
      ++count;
      for (const std::int32_t v : node.inputs) needed[storage(v)] = true;
    }
  }
  return count;
}

void check_random_plans(const char* name, int plans, unsigned seed, DType dtype = DType::f32) {
  INFO(name << " in " << to_string(dtype) << ", seed " << seed);
  Subject subject(name, dtype);
  const Outcome plain = take_step(subject, {}, false, nullptr);
  subject.reset();
  const Trace trace = checkpoint::trace(subject.step());
  std::mt19937 random(seed);
  for (int i = 0; i < plans; ++i) {
    INFO("plan " << i);
    const Plan plan = random_plan(trace, random, 4);
    subject.reset();
    const checkpoint::Simulation simulation = checkpoint::simulate(trace, plan);
    const Outcome outcome = take_step(subject, {}, false, &plan);
    REQUIRE(outcome.bits == plain.bits);
    REQUIRE(outcome.peak == simulation.peak_bytes);
    REQUIRE(outcome.replays == simulation.replays);
  }
}

}  // namespace

TEST_CASE("models: every strategy has the bits, the predicted peak and the counted replays", "[models]") {
  const auto [name, dtype] = GENERATE(table<const char*, DType>({{"mlp", DType::f32},
                                                                 {"lenet", DType::f32},
                                                                 {"resnet18", DType::f32},
                                                                 {"chain", DType::f32},
                                                                 {"gpt", DType::f32},
                                                                 {"gpt with a tied head", DType::f32},
                                                                 {"gpt with a tied head", DType::bf16},
                                                                 {"lenet", DType::bf16},
                                                                 {"resnet18", DType::bf16},
                                                                 {"chain", DType::bf16},
                                                                 {"gpt", DType::bf16}}));
  INFO(name << " in " << to_string(dtype));
  Subject subject(name, dtype);
  const Outcome plain = take_step(subject, {}, false, nullptr);
  CHECK(plain.replays == 0);
  CHECK(predict(subject, {}, false).peak == plain.peak);
  for (const nn::CheckpointSetting setting :
       {nn::CheckpointSetting{Kind::block}, nn::CheckpointSetting{Kind::recompute_cheap},
        nn::CheckpointSetting{Kind::sqrt}, nn::CheckpointSetting{Kind::segments, 1}}) {
    INFO(to_string(setting));
    const Outcome outcome = take_step(subject, setting, false, nullptr);
    CHECK(outcome.bits == plain.bits);
    CHECK(outcome.peak == predict(subject, setting, false).peak);
    CHECK(outcome.replays == count_replays(subject, setting));
  }
  const Outcome nested = take_step(subject, {Kind::block}, true, nullptr);
  const Prediction predicted = predict(subject, {Kind::block}, true);
  CHECK(nested.bits == plain.bits);
  CHECK(nested.peak == predicted.peak);
  CHECK(nested.replays == predicted.replays);
  // Each block once for the outer region, less what no save needs, and once more for itself.
  CHECK(nested.replays >= take_step(subject, {Kind::block}, false, nullptr).replays);
}

TEST_CASE("models: the prediction holds at 1, 2 and 4 threads, and leaves no trace", "[models]") {
  const auto [name, dtype] = GENERATE(table<const char*, DType>({{"mlp", DType::f32},
                                                                 {"lenet", DType::f32},
                                                                 {"resnet18", DType::f32},
                                                                 {"chain", DType::f32},
                                                                 {"gpt", DType::f32},
                                                                 {"lenet", DType::bf16},
                                                                 {"gpt", DType::bf16}}));
  Subject subject(name, dtype);
  for (const int threads : {1, 2, 4}) {
    const ThreadCount count(threads);
    INFO(name << " in " << to_string(dtype) << " with " << threads << " threads");
    const Outcome without = take_step(subject, {}, false, nullptr);
    for (const nn::CheckpointSetting setting :
         {nn::CheckpointSetting{}, nn::CheckpointSetting{Kind::block},
          nn::CheckpointSetting{Kind::recompute_cheap}, nn::CheckpointSetting{Kind::sqrt}}) {
      const Prediction predicted = predict(subject, setting, false);
      const Outcome after = take_step(subject, setting, false, nullptr);
      CHECK(after.peak == predicted.peak);
      CHECK(after.bits == without.bits);  // checkpointing changes no bit, nor does the dry run before
    }
  }
}

TEST_CASE("models: random plans have the bits, the predicted peak and the predicted replays", "[models]") {
  check_random_plans("mlp", 200, 1);
  check_random_plans("lenet", 40, 2);
  check_random_plans("resnet18", 12, 3);
  check_random_plans("chain", 20, 4);
  check_random_plans("gpt", 20, 8);
  check_random_plans("lenet", 10, 10, DType::bf16);
  check_random_plans("gpt", 10, 11, DType::bf16);
}

TEST_CASE("models: 200 random plans each", "[models][slow]") {
  check_random_plans("lenet", 200, 5);
  check_random_plans("resnet18", 200, 6);
  check_random_plans("chain", 200, 7);
  check_random_plans("gpt", 200, 9);
}
