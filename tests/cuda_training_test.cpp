// Training steps of the ready models on a CUDA device: the CPU's results within rounding, and the same bits under every
// checkpoint strategy; the optimizers' steps.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/model_subject.h"
#include "reprise/tests/op_case.h"
#include "reprise/tests/random_plan.h"

using namespace reprise;
using namespace reprise::test;
using Kind = nn::CheckpointSetting::Kind;

namespace {

struct Model {
  const char* name;
  std::int64_t pixels;  // 0: the model's own
  double tolerance;     // relative rms error of each gradient, against the CPU's in f32
};

}  // namespace

TEST_CASE("cuda: a training step has the CPU's loss and gradients, and one set of bits", "[cuda]") {
  const Device device = cuda_device();
  const Model model = GENERATE(Model{"lenet", 0, 1e-4}, Model{"resnet18", 16, 1e-3}, Model{"gpt", 0, 1e-4});
  INFO(model.name);
  Subject on_cpu(model.name, DType::f32, model.pixels);
  take_step(on_cpu, {}, false, nullptr);

  const EmulatorSettings settings({});
  Subject on_cuda(model.name, DType::f32, model.pixels);
  on_cuda.to(device);
  const Outcome plain = take_step(on_cuda, {}, false, nullptr);
  const auto exact = on_cpu.model.named_parameters(), actual = on_cuda.model.named_parameters();
  REQUIRE(exact.size() == actual.size());
  for (std::size_t i = 0; i < exact.size(); ++i) {
    INFO(actual[i].first);
    CHECK(relative_rms_error(actual[i].second.grad(), exact[i].second.grad()) <= model.tolerance);
  }

  for (const nn::CheckpointSetting setting :
       {nn::CheckpointSetting{Kind::block}, nn::CheckpointSetting{Kind::recompute_cheap},
        nn::CheckpointSetting{Kind::sqrt}}) {
    INFO(to_string(setting));
    const Outcome outcome = take_step(on_cuda, setting, true, nullptr);
    CHECK(outcome.bits == plain.bits);
    CHECK(outcome.replays > 0);
  }
}

TEST_CASE("cuda: a gpt's step in bf16 has the CPU's gradients and one set of bits, its attention on cuDNN",
          "[cuda]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  const auto make = [] {
    manual_seed(7);
    nn::Model model = nn::make_gpt({.vocabulary = 17, .context = 24, .layers = 2, .width = 32, .heads = 2});
    model.to(DType::bf16);
    return Subject(std::move(model));
  };
  Subject on_cpu = make();
  take_step(on_cpu, {}, false, nullptr);
  Subject on_cuda = make();
  on_cuda.to(device);
  const std::int64_t before = on_real_gpu() ? 0 : emulator_statistics().cudnn_runs;
  const Outcome plain = take_step(on_cuda, {}, false, nullptr);
  if (!on_real_gpu())
    CHECK(emulator_statistics().cudnn_runs - before == 2 * 2);  // of each layer, there and back
  const auto exact = on_cpu.model.named_parameters(), actual = on_cuda.model.named_parameters();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    INFO(actual[i].first);
    CHECK(relative_rms_error(actual[i].second.grad(), exact[i].second.grad()) <= 5e-2);
  }
  for (const nn::CheckpointSetting setting :
       {nn::CheckpointSetting{Kind::block}, nn::CheckpointSetting{Kind::recompute_cheap},
        nn::CheckpointSetting{Kind::sqrt}}) {
    INFO(to_string(setting));
    const Outcome outcome = take_step(on_cuda, setting, true, nullptr);
    CHECK(outcome.bits == plain.bits);
    CHECK(outcome.replays > 0);
  }
}

TEST_CASE("cuda: random plans, with offload, have the bits and the predicted peak", "[cuda]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  const unsigned seed = 11;
  INFO("seed " << seed);
  Subject subject("gpt");
  subject.to(device);
  const Outcome plain = take_step(subject, {}, false, nullptr);
  subject.reset();
  const Trace trace = checkpoint::trace(subject.step());
  std::mt19937 random(seed);
  for (int i = 0; i < 5; ++i) {
    const Plan plan = random_plan(trace, random, 4);
    subject.reset();
    const checkpoint::Simulation simulation = checkpoint::simulate(trace, plan);
    const Outcome outcome = take_step(subject, {}, false, &plan);
    CHECK(outcome.bits == plain.bits);
    CHECK(outcome.peak == simulation.peak_bytes);
    CHECK(outcome.replays == simulation.replays);
  }
}

TEST_CASE("cuda: optimizers step as on the CPU", "[cuda]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  // More tensors than one launch takes, and one of several blocks.
  const auto parameters_on = [&](Device where, DType dtype) {
    manual_seed(3);
    std::vector<Tensor> parameters;
    for (std::int64_t i = 0; i < 60; ++i) {
      Tensor p = Tensor::randn({i == 5 ? 5000 : i % 4 + 1}).to(dtype).to(where);
      p.set_requires_grad(true);
      p.set_grad(Tensor::randn(p.shape()).to(dtype).to(where));
      parameters.push_back(p);
    }
    return parameters;
  };
  const auto check = [&](auto make_optimizer) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      std::vector<Tensor> expected = parameters_on(Device::cpu(), dtype),
                          actual = parameters_on(device, dtype);
      auto reference = make_optimizer(expected);
      auto optimizer = make_optimizer(actual);
      for (int step = 0; step < 3; ++step) {
        reference.step();
        optimizer.step();
      }
      for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(relative_rms_error(actual[i], expected[i]) <= (dtype == DType::f32 ? 1e-6 : 1e-14));
    }
  };
  check([](const std::vector<Tensor>& p) { return optim::AdamW(p, {.lr = 0.01, .weight_decay = 0.1}); });
  check([](const std::vector<Tensor>& p) { return optim::Adam(p, {.lr = 0.01, .weight_decay = 0.1}); });
  check([](const std::vector<Tensor>& p) { return optim::SGD(p, {.lr = 0.01}); });
  check([](const std::vector<Tensor>& p) {
    return optim::SGD(p, {.lr = 0.01, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true});
  });
}

TEST_CASE("cuda: clipping measures and scales gradients as on the CPU", "[cuda]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  const auto leaf_on = [](Device where, DType dtype) {
    manual_seed(4);
    Tensor p = Tensor::zeros({20000}, {.dtype = dtype}).to(where);
    p.set_requires_grad(true);
    p.set_grad(Tensor::randn({20000}).to(dtype).to(where));
    return p;
  };
  for (const DType dtype : {DType::f32, DType::f64}) {
    INFO(to_string(dtype));
    const Tensor expected = leaf_on(Device::cpu(), dtype), actual = leaf_on(device, dtype);
    CHECK(nn::clip_grad_norm({actual}, 1.0) == Approx(nn::clip_grad_norm({expected}, 1.0)).epsilon(1e-12));
    CHECK(relative_rms_error(actual.grad(), expected.grad()) <= (dtype == DType::f32 ? 1e-7 : 1e-14));
  }
}
