// Steps captured as CUDA graphs: the bits of the same steps run one by one, whatever is recomputed, dropped at random or
// offloaded; what a capture refuses, and that the process goes on; bytes, and that nothing is left.
#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "reprise/autograd/offload.h"
#include "reprise/core/cuda_graph.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/model_subject.h"
#include "reprise/tests/temporary_folder.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;
using emulator::Schedule;
using Kind = nn::CheckpointSetting::Kind;
using Bits = std::vector<std::vector<std::byte>>;

namespace {

// Which of them differ; empty: none.
std::string difference(const Bits& a, const Bits& b) {
  if (a.size() != b.size()) return "count";
  std::string places;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) places += std::to_string(i) + " of " + std::to_string(a.size()) + ", ";
  return places;
}

// Everything that training leaves: losses where they are read, parameters, running statistics, the random generator.
Bits trained(Subject& subject, const std::function<Tensor()>& step, bool by_graph, bool read_losses,
             int steps = 3) {
  subject.to(cuda_device());
  subject.reset();
  optim::AdamW optimizer(subject.model.parameters(), {.lr = 1e-2});
  std::optional<CUDAGraph> graph;
  if (by_graph) graph.emplace(subject.model.parameters(), step);
  Bits bits;
  for (int i = 0; i < steps; ++i) {
    if (is_floating(subject.x.dtype())) copy_into(subject.x, Tensor::randn(subject.x.shape()));
    optimizer.set_lr(0, 1e-2 / (i + 1));
    optimizer.zero_grad();
    const Tensor loss = by_graph ? graph->replay() : step();
    if (read_losses) bits.push_back(bytes_of(loss));
    optimizer.step();
  }
  for (const Tensor& parameter : subject.model.parameters()) bits.push_back(bytes_of(parameter));
  for (const auto& [name, buffer] : subject.model.named_buffers()) bits.push_back(bytes_of(buffer));
  bits.emplace_back(sizeof(RandomAddress));
  const RandomAddress random = random_state();
  std::memcpy(bits.back().data(), &random, sizeof random);
  return bits;
}

std::function<Tensor()> step_of(Subject& subject, nn::CheckpointSetting setting,
                                std::optional<Plan> plan = {}) {
  return [&subject, setting, plan] {
    Tape tape({.plan = plan});
    Tensor loss = subject.loss(setting, false);
    tape.backward(loss);
    return loss;
  };
}

Bits trained(const char* name, nn::CheckpointSetting setting, bool by_graph, bool read_losses = true) {
  const bool large = std::string_view(name) == "resnet18";
  Subject subject(name, DType::f32, large ? 16 : 0);
  return trained(subject, step_of(subject, setting), by_graph, read_losses, large ? 2 : 3);
}

// All of the step's values but the last are offloaded.
Plan offloading(Subject& subject) {
  subject.reset();
  const Trace trace = checkpoint::trace(subject.step());
  checkpoint::PlanBuilder builder(trace);
  const auto nodes = static_cast<std::int32_t>(trace.nodes.size());
  builder.region(0, nodes - 1);
  for (std::int32_t n = 0; n < nodes - 1; ++n)
    for (const std::int32_t v : trace.nodes[static_cast<std::size_t>(n)].outputs)
      builder.decide(v, Decision::offload);
  return std::move(builder).finish();
}

// A leaf of 3000 numbers, and a small step on it that draws random numbers.
struct Small {
  Tensor x;
  Small() {
    manual_seed(5);
    x = Tensor::randn({3000}).to(cuda_device());
    x.set_requires_grad(true);
  }
  Tensor step(const std::function<void(const Tensor& loss)>& more = {}) const {
    Tape tape;
    Tensor loss = sum(tanh(dropout(tanh(x), 0.5)));
    if (more) more(loss);
    tape.backward(loss);
    return loss;
  }
  std::function<Tensor()> captured(const std::function<void(const Tensor& loss)>& more = {}) const {
    return [this, more] { return step(more); };
  }
  // Of the steps from this random number on.
  Bits eager(int steps) const {
    Bits bits;
    for (int i = 0; i < steps; ++i) {
      x.set_grad({});
      bits.push_back(bytes_of(step()));
      bits.push_back(bytes_of(x.grad()));
    }
    return bits;
  }
  Bits replayed(CUDAGraph& graph, int steps) const {
    Bits bits;
    for (int i = 0; i < steps; ++i) {
      x.set_grad({});
      bits.push_back(bytes_of(graph.replay()));
      bits.push_back(bytes_of(x.grad()));
    }
    return bits;
  }
};

// What there is of the emulated device, and of the tensors on it.
struct Held {
  std::int64_t device_bytes = emulator_statistics().live_bytes, graphs = emulator_statistics().graphs;
  std::size_t live = memory::live(cuda_device()), offloaded = offloaded_bytes();
  friend bool operator==(const Held&, const Held&) = default;
};
Held held() {
  services(cuda_device()).synchronize();
  return {};
}

}  // namespace

TEST_CASE("cuda graph: training by replays has the bits of training step by step", "[cuda]") {
  const EmulatorSettings settings({});
  const char* name = GENERATE("mlp", "lenet", "resnet18", "gpt");
  INFO(name);
  const Bits plain = trained(name, {}, false);
  for (const nn::CheckpointSetting setting :
       {nn::CheckpointSetting{}, nn::CheckpointSetting{Kind::block}, nn::CheckpointSetting{Kind::sqrt}}) {
    INFO(to_string(setting));
    if (std::string_view(name) == "resnet18" && setting.kind != Kind::block)
      continue;  // its running statistics matter here
    CHECK(difference(trained(name, setting, true), plain) == "");
  }
}

TEST_CASE("cuda graph: replays that nobody waits for have the same bits in every order of streams",
          "[cuda]") {
  const Schedule schedule = GENERATE(Schedule::forward, Schedule::reverse, Schedule::random);
  INFO("schedule " << static_cast<int>(schedule) << ", seed 3");
  const EmulatorSettings settings({.schedule = schedule, .seed = 3});
  const Bits plain = trained("gpt", {}, false, false);
  CHECK(difference(trained("gpt", {Kind::block}, true, false), plain) == "");

  // Copies out and back are nodes of the graph, beside the kernels.
  Subject subject("gpt");
  subject.to(cuda_device());
  const Plan plan = offloading(subject);
  CHECK(difference(trained(subject, step_of(subject, {}, plan), true, false), plain) == "");
}

TEST_CASE("cuda graph: a gpt in bf16, its attention on cuDNN, has the bits of training step by step",
          "[cuda]") {
  const EmulatorSettings settings({});
  const auto run = [](bool by_graph) {
    manual_seed(7);
    nn::Model model = nn::make_gpt({.vocabulary = 17, .context = 24, .layers = 2, .width = 32, .heads = 2});
    model.to(DType::bf16);
    Subject subject(std::move(model));
    return trained(subject, step_of(subject, {Kind::recompute_cheap}), by_graph, true);
  };
  CHECK(difference(run(true), run(false)) == "");
}

TEST_CASE("cuda graph: a replay is one launch, and the host waits for nothing", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const Small small;
  CUDAGraph graph({small.x}, small.captured());
  const emulator::Statistics before = emulator_statistics();
  for (int i = 0; i < 5; ++i) graph.replay();
  const emulator::Statistics after = emulator_statistics();
  CHECK(after.graph_launches - before.graph_launches == 5);
  CHECK(after.launches - before.launches == 5);  // where random numbers begin
  CHECK(after.synchronizations == before.synchronizations);
  CHECK(after.live_bytes == before.live_bytes);
}

TEST_CASE("cuda graph: to make one changes nothing but the gradients", "[cuda]") {
  const EmulatorSettings settings({});
  Subject subject("resnet18", DType::f32, 16);
  subject.to(cuda_device());
  subject.reset();
  const auto state = [&] {
    Bits bits;
    for (const Tensor& parameter : subject.model.parameters()) bits.push_back(bytes_of(parameter));
    for (const auto& [name, buffer] : subject.model.named_buffers()) bits.push_back(bytes_of(buffer));
    return bits;
  };
  const Bits before = state();
  const RandomAddress random = random_state();
  const std::size_t live = memory::live(cuda_device());
  const CUDAGraph graph(subject.model.parameters(), step_of(subject, {}));
  CHECK(difference(state(), before) == "");
  CHECK(random_state().seed == random.seed);
  CHECK(random_state().offset == random.offset);
  for (const Tensor& parameter : subject.model.parameters()) CHECK_FALSE(parameter.grad().defined());
  std::size_t gradients = 0;
  for (const Tensor& parameter : subject.model.parameters()) gradients += parameter.bytes();
  CHECK(memory::live(cuda_device()) == live + gradients + sizeof(float));  // of the graph, and the loss
}

TEST_CASE("cuda graph: each replay draws the numbers of its own step, and one that does not is noticed",
          "[cuda]") {
  const EmulatorSettings settings({});
  const Small small;
  manual_seed(9);
  const Bits eager = small.eager(3);
  const RandomAddress end = random_state();
  CUDAGraph graph({small.x}, small.captured());
  manual_seed(9);  // another seed than under capture
  CHECK(difference(small.replayed(graph, 3), eager) == "");
  CHECK(random_state().seed == end.seed);
  CHECK(random_state().offset == end.offset);

  manual_seed(9);
  Bits stuck = small.replayed(graph, 1);
  manual_seed(9);  // the second begins where the first did
  for (const auto& bytes : small.replayed(graph, 1)) stuck.push_back(bytes);
  CHECK(difference(stuck, {eager.begin(), eager.begin() + 4}) == "2 of 4, 3 of 4, ");
}

TEST_CASE("cuda graph: the gradients are the graph's, whatever becomes of .grad, and outlive it", "[cuda]") {
  const EmulatorSettings settings({});
  const Small small;
  manual_seed(9);
  const Bits eager = small.eager(2);
  manual_seed(9);
  Tensor gradient;
  {
    std::optional<CUDAGraph> graph(std::in_place, std::vector<Tensor>{small.x}, small.captured());
    graph->replay();
    const Tensor first = small.x.grad();
    const std::uint32_t version = first.impl()->storage->version;
    CHECK(difference({bytes_of(first)}, {eager[1]}) == "");
    small.x.set_grad({});
    graph->replay();
    gradient = small.x.grad();
    CHECK(gradient.impl() == first.impl());
    CHECK(gradient.impl()->storage->version > version);
    CHECK(difference({bytes_of(gradient)}, {eager[3]}) == "");
    graph.reset();
  }
  small.x.set_grad({});
  for (int i = 0; i < 3; ++i) small.step();  // new buffers lie elsewhere
  CHECK(difference({bytes_of(gradient)}, {eager[3]}) == "");
}

TEST_CASE("cuda graph: its memory is as long as the step's buffers reach, and nothing is left of it",
          "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const Small small;
  small.step();  // what is made at a first use
  small.x.set_grad({});
  const Held before = held();
  {
    std::optional<CUDAGraph> graph(std::in_place, std::vector<Tensor>{small.x}, small.captured());
    // 3000 numbers take 12032 bytes (a multiple of 256). Three lie one behind the other: what tanh, dropout and tanh make. The
    // second goes, and the loss takes its place, which is too short then for the gradients of the sum and of the last tanh. The
    // others find room between them.
    CHECK(graph->bytes() == 256 + 5 * 12032);
    CHECK(held().device_bytes == before.device_bytes + static_cast<std::int64_t>(graph->bytes()));
    CHECK(held().graphs == before.graphs + 1);
    const Tensor gradient = (graph->replay(), small.x.grad());
    small.x.set_grad({});
    graph.reset();
    CHECK(held().graphs == before.graphs);
    CHECK(held().device_bytes > before.device_bytes);  // the gradient keeps it
  }
  CHECK(held() == before);

  // With copies in page-locked memory.
  const std::int64_t locked = emulator_statistics().page_locked_bytes;
  {
    const auto step = [&] {
      Tape tape;
      Tensor loss =
          sum(checkpoint::run(checkpoint::Policy::offload(), [&] { return tanh(tanh(tanh(small.x))); }));
      tape.backward(loss);
      return loss;
    };
    CUDAGraph graph({small.x}, step);
    graph.replay();
    CHECK(emulator_statistics().page_locked_bytes == locked + 3 * 12288);  // whole pages
    small.x.set_grad({});
  }
  CHECK(held() == before);
  CHECK(emulator_statistics().page_locked_bytes == locked);

  // A warm-up that fails while its copies are on their way.
  const auto fails = [&]() -> Tensor {
    Tape tape;
    checkpoint::run(checkpoint::Policy::offload(), [&] { return tanh(tanh(tanh(small.x))); });
    throw UserError("enough");
  };
  CHECK_THROWS_WITH(CUDAGraph({small.x}, fails), "enough");
  CHECK(held() == before);
  CHECK(emulator_statistics().page_locked_bytes == locked);
  CHECK(emulator_last_fault().empty());
}

TEST_CASE("cuda graph: a copy out that nobody waits for is done at a replay's end", "[cuda]") {
  const EmulatorSettings settings({});
  const Small small;
  std::vector<Tensor> kept;  // a buffer that is not released, so that nothing waits for its copy
  const auto step = [&] {
    Tape tape;
    checkpoint::run(checkpoint::Policy::offload(), [&] {
      kept.push_back(tanh(small.x).detach());
      return kept.back();
    });
    return kept.back();
  };
  CUDAGraph graph({small.x}, step);
  CHECK(difference({bytes_of(graph.replay())}, {bytes_of(kept[0])}) == "");
}

TEST_CASE("cuda graph: what a step cannot do under capture is said, and the process goes on", "[cuda]") {
  const EmulatorSettings settings({});
  const Device device = cuda_device();
  const Small small;
  manual_seed(9);
  const Bits eager = small.eager(2);
  small.x.set_grad({});
  const TemporaryFolder folder;
  const Tensor number = Tensor::ones({1}, {.device = device});
  CUDAGraph other({small.x}, small.captured());
  other.replay();
  small.x.set_grad({});
  optim::SGD optimizer({small.x}, {.lr = 0.0});
  int calls = 0;
  struct Case {
    const char* says;
    std::function<void(const Tensor& loss)> more;
  };
  const std::vector<Case> cases = {
      {"4 bytes are to be read by the host in a step that is captured",
       [](const Tensor& loss) { loss.item(); }},
      {"(in to_device)", [](const Tensor& loss) { loss.to(Device::cpu()); }},
      {"12 bytes of the host are to be copied in a step that is captured",
       [&](const Tensor&) { Tensor::ones({3}, {.device = device}); }},
      {"the host is to wait for the device", [&](const Tensor&) { services(device).synchronize(); }},
      {"SGD: step() in a step that is captured", [&](const Tensor&) { optimizer.step(); }},
      {"offloading to files",
       [&](const Tensor& loss) {
         const OffloadToFolder files(folder.path());
         checkpoint::run(checkpoint::Policy::offload(), [&] { return tanh(tanh(loss)); });
       }},
      {"the step asks for other memory under capture than in its warm-up",
       [&](const Tensor&) { tanh(Tensor(number)), calls++ % 2 ? tanh(Tensor(small.x)) : Tensor(); }},
      {"a CUDA graph is to be captured in a step that is captured itself",
       [&](const Tensor&) { CUDAGraph({number}, [&] { return tanh(number); }); }},
      {"a CUDA graph is to be replayed in a step that is captured itself",
       [&](const Tensor&) { other.replay(); }},
      {"another thread captures a CUDA graph",
       [&](const Tensor&) {
         std::string said;
         std::thread([&] {
           try {
             tanh(number);
           } catch (const CaptureError& error) {
             said = error.what();
           }
         }).join();
         throw CaptureError(said);
       }},
      {"seeds the random generator", [](const Tensor&) { manual_seed(1); }},
  };
  for (const Case& each : cases) {
    INFO(each.says);
    std::optional<Held> before;
    if (!on_real_gpu()) before = held();
    calls = 0;
    manual_seed(9);
    CHECK_THROWS_AS(CUDAGraph({small.x}, small.captured(each.more)), UserError);
    calls = 0;
    CHECK_THROWS_WITH(CUDAGraph({small.x}, small.captured(each.more)), Contains(each.says));
    CHECK_FALSE(small.x.grad().defined());
    CHECK(random_state().offset == 0);
    if (before) CHECK(held() == *before);
    CHECK(difference(small.eager(2), eager) == "");
    small.x.set_grad({});
    manual_seed(9);
    CUDAGraph graph({small.x}, small.captured());
    CHECK(difference(small.replayed(graph, 2), eager) == "");
    small.x.set_grad({});
  }
}

TEST_CASE(
    "cuda graph: what is released while a step is captured stays for its replays, and another graph may go",
    "[cuda]") {
  const EmulatorSettings settings({});
  const Small small;
  small.step();
  small.x.set_grad({});
  std::optional<Held> before;
  if (!on_real_gpu()) before = held();
  const Tensor expected = tanh(small.x);
  {
    std::vector<Tensor> inputs = {tanh(small.x), tanh(small.x)};  // one for each run of the step
    std::optional<CUDAGraph> other(std::in_place, std::vector<Tensor>{small.x}, small.captured());
    other->replay();
    small.x.set_grad({});
    CUDAGraph graph({small.x}, [&] {
      if (inputs.size() == 1) other.reset();
      Tensor input = std::move(inputs.back());
      inputs.pop_back();
      Tensor scratch = input + input;
      return scratch - std::move(input);
    });
    const Tensor other_bytes = expected + expected;  // what is free is written
    CHECK(difference({bytes_of(graph.replay())}, {bytes_of(expected)}) == "");
  }
  if (before) {
    CHECK(emulator_last_fault().empty());
    CHECK(held().graphs == before->graphs);
    CHECK(held().device_bytes == before->device_bytes + static_cast<std::int64_t>(expected.bytes()));
  }
}

TEST_CASE("cuda graph: copies of the warm-up are done before those of a replay, which go to the same memory",
          "[cuda]") {
  if (on_real_gpu()) return;
  const Small small;
  const auto region = [&](const Tensor& x) {
    return checkpoint::run(checkpoint::Policy::offload(), [&] { return tanh(tanh(x)); });
  };
  const auto step = [&] {
    {
      Tape tape;
      tape.backward(sum(region(small.x)));
    }
    Tape tape;
    return region(1 - small.x).detach();  // copied out, and never back
  };
  const Bits eager = {bytes_of(step()), bytes_of(small.x.grad())};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    const EmulatorSettings settings({.schedule = Schedule::random, .seed = seed});
    CUDAGraph graph({small.x}, step);
    CHECK(difference(small.replayed(graph, 1), eager) == "");
  }
}

TEST_CASE("cuda graph: the last of a graph's memory may go while another step is captured", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const Small small;
  small.step();
  small.x.set_grad({});
  const Held before = held();
  std::optional<Tape> tape;  // keeps an offloaded copy in page-locked memory of the graph
  {
    const CUDAGraph graph({small.x}, [&] {
      tape.emplace(TapeOptions{.start = false});
      const Tape::Recording recording(*tape);
      return checkpoint::run(checkpoint::Policy::offload(), [&] { return tanh(tanh(small.x)); }).detach();
    });
  }
  int calls = 0;
  {
    CUDAGraph graph({small.x}, [&] {
      if (++calls == 2) tape.reset();
      return small.step();
    });
    CHECK_NOTHROW(graph.replay());
    small.x.set_grad({});
  }
  CHECK(held() == before);
}

TEST_CASE("cuda graph: where everything is waited for, a step is captured all the same", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const Small small;
  manual_seed(9);
  const Bits eager = small.eager(2);
  manual_seed(9);
  const SynchronizedLaunches synchronized;
  CUDAGraph graph({small.x}, [&] {
    Tape tape;
    Tensor loss = checkpoint::run(checkpoint::Policy::offload(),
                                  [&] { return sum(tanh(dropout(tanh(small.x), 0.5))); });
    tape.backward(loss);
    return loss;
  });
  CHECK(difference(small.replayed(graph, 2), eager) == "");
}

TEST_CASE("cuda graph: copies between devices do not belong in it", "[cuda]") {
  if (on_real_gpu()) return;  // there may be one only
  const EmulatorSettings settings({});
  const Small small;
  const Tensor there = Tensor::ones({1}, {.device = Device::cuda(1)});
  CHECK_THROWS_WITH(
      CUDAGraph({small.x}, small.captured([](const Tensor& loss) { loss.to(Device::cuda(1)); })),
      Contains("a graph is of one device (in to_device)"));
  CHECK_THROWS_WITH(CUDAGraph({small.x}, small.captured([&](const Tensor&) { there.to(Device::cuda(0)); })),
                    Contains("a graph is of one device (in to_device)"));
}

TEST_CASE("cuda graph: a value that was offloaded before the step, and a limit that has no room", "[cuda]") {
  const EmulatorSettings settings({});
  const Device device = cuda_device();
  const Small small;
  {
    Tape tape({.start = false});
    Tensor loss;
    {
      const Tape::Recording recording(tape);
      loss = sum(checkpoint::run(checkpoint::Policy::offload(), [&] { return tanh(tanh(small.x)); }));
    }
    CHECK_THROWS_WITH(CUDAGraph({small.x},
                                [&] {
                                  tape.backward(loss, {.retain_graph = true});
                                  return loss;
                                }),
                      Contains("a value that was offloaded before"));
  }
  small.x.set_grad({});
  const std::size_t room = memory::live(device) + 4 * small.x.bytes() + 512;
  memory::set_limit(device, room);
  CHECK_NOTHROW(small.step());
  small.x.set_grad({});
  CHECK_THROWS_WITH(CUDAGraph({small.x}, small.captured()),
                    Contains("for the buffers of a step that is captured"));
  memory::set_limit(device, SIZE_MAX);
  CHECK_NOTHROW(CUDAGraph({small.x}, small.captured()));
}

TEST_CASE("cuda graph: leaves and inputs that do not fit are refused", "[cuda]") {
  const EmulatorSettings settings({});
  const Small small;
  Tensor on_cpu = Tensor::ones({2}, {.requires_grad = true});
  CHECK_THROWS_WITH(CUDAGraph({on_cpu}, [] { return Tensor(); }),
                    Contains("only a CUDA device captures a step"));
  CHECK_THROWS_WITH(CUDAGraph({}, [] { return Tensor(); }), Contains("there are no leaves"));
  CHECK_THROWS_WITH(CUDAGraph({small.x, on_cpu}, [] { return Tensor(); }),
                    Contains("lie on different devices"));
  CHECK_THROWS_WITH(copy_into(small.x, on_cpu), Contains("f32[3000] on cuda:0 cannot become f32[2]"));
  CUDAGraph graph({small.x}, small.captured());
  const DryRun dry;
  CHECK_THROWS_WITH(graph.replay(), Contains("dry run"));
  CHECK_THROWS_WITH(CUDAGraph({small.x}, small.captured()), Contains("dry run"));
  CHECK_THROWS_WITH(copy_into(small.x, on_cpu), Contains("dry run"));
}

TEST_CASE("cuda graph: what CUDA refuses under capture the emulator refuses, and the capture is void",
          "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  CHECK(run_planted_capture("no fault") == 0);
  CHECK(run_planted_capture("the host waits") == 901);
  CHECK(run_planted_capture("memory from the pool") == 901);
  CHECK(run_planted_capture("memory to the pool") == 901);
  CHECK(run_planted_capture("page-locked memory") == 901);
  CHECK(run_planted_capture("a copy from pageable memory") == 901);
  CHECK(run_planted_capture("an event from before") == 901);
  CHECK(run_planted_capture("a stream that is not joined") == 904);
}
