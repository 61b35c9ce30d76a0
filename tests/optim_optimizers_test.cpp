// Optimizers and schedules against PyTorch's trajectories (golden/optim.py), and what a step may and may not change.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/nn/clip.h"
#include "reprise/nn/init.h"
#include "reprise/optim/optim.h"
#include "reprise/tests/golden/optim.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;
using Catch::Contains;

namespace {

Tensor leaf(std::initializer_list<double> values, DType dtype = DType::f64) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())},
                      {.dtype = dtype, .requires_grad = true});
}

Tensor start(DType dtype) {
  return Tensor::from<double>(golden::kStart, {4}, {.dtype = dtype, .requires_grad = true});
}

Tensor gradient(int step, DType dtype) {
  return Tensor::from<double>(golden::kGradients[step], {4}, {.dtype = dtype});
}

// Takes the golden steps and compares the parameter after each.
void check_trajectory(optim::Optimizer& optimizer, const Tensor& parameter, const double (&expected)[6][4]) {
  const double tolerance = parameter.dtype() == DType::f64 ? 1e-14 : 1e-6;
  for (int step = 0; step < golden::kSteps; ++step) {
    INFO("step " << step);
    parameter.set_grad(step == golden::kMissing ? Tensor() : gradient(step, parameter.dtype()));
    optimizer.step();
    const std::vector<double> values = parameter.to_vector();
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(values[i] == Approx(expected[step][i]).epsilon(tolerance).margin(tolerance));
  }
}

}  // namespace

TEST_CASE("SGD follows PyTorch's trajectories", "[optim]") {
  const DType dtype = GENERATE(DType::f64, DType::f32);
  auto check = [&](optim::SGDOptions options, const double(&expected)[6][4]) {
    INFO("momentum " << options.momentum << " weight_decay " << options.weight_decay << " nesterov "
                     << options.nesterov);
    const Tensor parameter = start(dtype);
    optim::SGD optimizer({parameter}, options);
    check_trajectory(optimizer, parameter, expected);
  };
  check({.lr = 0.1}, golden::k_sgd_plain);
  check({.lr = 0.1, .weight_decay = 0.3}, golden::k_sgd_weight_decay);
  check({.lr = 0.1, .momentum = 0.9}, golden::k_sgd_momentum);
  check({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.3}, golden::k_sgd_momentum_weight_decay);
  check({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.3, .nesterov = true}, golden::k_sgd_nesterov);
}

TEST_CASE("Adam and AdamW follow PyTorch's trajectories", "[optim]") {
  const DType dtype = GENERATE(DType::f64, DType::f32);
  {
    const Tensor parameter = start(dtype);
    optim::Adam optimizer({parameter}, {.lr = 0.05});
    check_trajectory(optimizer, parameter, golden::k_adam);
  }
  {
    const Tensor parameter = start(dtype);
    optim::Adam optimizer({parameter}, {.lr = 0.05, .betas = {0.8, 0.95}, .eps = 1e-3, .weight_decay = 0.3});
    check_trajectory(optimizer, parameter, golden::k_adam_options);
  }
  {
    const Tensor parameter = start(dtype);
    optim::AdamW optimizer({parameter}, {.lr = 0.05});
    check_trajectory(optimizer, parameter, golden::k_adamw);
  }
  {
    const Tensor parameter = start(dtype);
    optim::AdamW optimizer({parameter}, {.lr = 0.05, .betas = {0.8, 0.95}, .eps = 1e-3, .weight_decay = 0.3});
    check_trajectory(optimizer, parameter, golden::k_adamw_options);
  }
}

TEST_CASE("A step is the same bits for any number of threads", "[optim]") {
  auto run = [](int threads) {
    const test::ThreadCount count(threads);
    manual_seed(5);
    const Tensor parameter = Tensor::randn({100'001}, {.requires_grad = true});
    optim::AdamW optimizer({parameter});
    for (int i = 0; i < 3; ++i) {
      parameter.set_grad(Tensor::randn({100'001}));
      nn::clip_grad_norm({parameter}, 1.0);
      optimizer.step();
    }
    return parameter.to_vector();
  };
  CHECK(run(1) == run(3));
}

TEST_CASE("Parameter groups have their own settings, and set_lr reaches those without", "[optim]") {
  const Tensor a = leaf({1.0}), b = leaf({1.0}), c = leaf({1.0});
  optim::SGD optimizer(
      {{.parameters = {a}}, {.parameters = {b}, .lr = 0.5}, {.parameters = {c}, .weight_decay = 1.0}},
      {.lr = 0.1});
  auto step = [&] {
    for (const Tensor& p : {a, b, c}) p.set_grad(leaf({1.0}).detach());
    optimizer.step();
  };
  step();
  CHECK(a.item() == Approx(0.9));
  CHECK(b.item() == Approx(0.5));
  CHECK(c.item() == Approx(0.8));
  optimizer.set_lr(0.2);
  optimizer.set_lr(1, 0.25);
  step();
  CHECK(a.item() == Approx(0.7));
  CHECK(b.item() == Approx(0.25));
  CHECK(c.item() == Approx(0.8 - 0.2 * 1.8));
  CHECK_THROWS_WITH(optimizer.set_lr(3, 1.0), Contains("group 3, there are 3"));
}

TEST_CASE("A step bumps the version of what it wrote, and only that", "[optim]") {
  const Tensor a = leaf({1.0}), b = leaf({1.0});
  optim::SGD optimizer({a, b}, {.lr = 0.1});
  const auto version_a = a.impl()->storage->version, version_b = b.impl()->storage->version;
  a.set_grad(leaf({1.0}).detach());
  optimizer.step();
  CHECK(a.impl()->storage->version == version_a + 1);
  CHECK(b.impl()->storage->version == version_b);
  CHECK(b.item() == 1.0);
}

TEST_CASE("zero_grad releases the gradients' bytes", "[optim]") {
  const Tensor a = leaf({1.0, 2.0});
  optim::SGD optimizer({a});
  const std::size_t before = memory::live(Device::cpu());
  a.set_grad(Tensor::ones({2}, {.dtype = DType::f64}));
  CHECK(memory::live(Device::cpu()) == before + 16);
  optimizer.zero_grad();
  CHECK_FALSE(a.grad().defined());
  CHECK(memory::live(Device::cpu()) == before);
}

TEST_CASE("Optimizer state is counted under its tag: momentum one copy, Adam two, plain SGD none",
          "[optim]") {
  auto bytes = [] {
    const auto tags = memory::by_tag(Device::cpu());
    const auto found = tags.find("optimizer");
    return found == tags.end() ? 0 : found->second;
  };
  const Tensor a = Tensor::zeros({10}, {.requires_grad = true});
  const std::size_t before = bytes();
  {
    optim::SGD optimizer({a});
    CHECK(bytes() == before);
  }
  {
    optim::SGD optimizer({a}, {.momentum = 0.9});
    CHECK(bytes() == before + 40);
  }
  {
    optim::AdamW optimizer({a});
    CHECK(bytes() == before + 80);
  }
  CHECK(bytes() == before);
}

TEST_CASE("A step in a dry run writes nothing and counts nothing", "[optim]") {
  const Tensor dry = leaf({1.0}), never = leaf({1.0});
  optim::Adam a({dry}), b({never});
  auto step = [](const Tensor& parameter, optim::Optimizer& optimizer) {
    parameter.set_grad(Tensor::ones({1}, {.dtype = DType::f64}));
    optimizer.step();
  };
  step(dry, a);
  step(never, b);
  const auto version = dry.impl()->storage->version;
  {
    const DryRun dry_run;
    step(dry, a);
    nn::clip_grad_norm({dry}, 1e-3);
    a.zero_grad();
    CHECK_FALSE(dry.grad().defined());
  }
  CHECK(dry.grad().item() == 1.0);
  CHECK(dry.impl()->storage->version == version);
  step(dry, a);
  step(never, b);
  CHECK(dry.item() == never.item());
}

TEST_CASE("A resumed optimizer goes on with the same bits", "[optim]") {
  auto make = [](const Tensor& parameter, bool adam) -> std::unique_ptr<optim::Optimizer> {
    if (adam) return std::make_unique<optim::AdamW>(std::vector<Tensor>{parameter});
    return std::make_unique<optim::SGD>(std::vector<Tensor>{parameter}, optim::SGDOptions{.momentum = 0.9});
  };
  const bool adam = GENERATE(true, false);
  const Tensor whole = start(DType::f32);
  const auto optimizer = make(whole, adam);
  auto step = [](const Tensor& parameter, optim::Optimizer& o, int i) {
    parameter.set_grad(gradient(i, DType::f32));
    o.step();
  };
  step(whole, *optimizer, 0);
  step(whole, *optimizer, 1);
  const Tensor resumed = Tensor::from(whole.to_vector(), {4}, {.dtype = DType::f32, .requires_grad = true});
  const auto other = make(resumed, adam);
  const optim::NamedTensors state = optimizer->state();
  step(whole, *optimizer, 3);  // the state is a copy: this must not reach it
  other->load_state(state);
  step(resumed, *other, 3);
  step(whole, *optimizer, 4);
  step(resumed, *other, 4);
  CHECK(whole.to_vector() == resumed.to_vector());
}

TEST_CASE("A state that does not fit is refused by names, and changes nothing", "[optim]") {
  const Tensor a = leaf({1.0, 2.0});
  optim::SGD optimizer({a}, {.lr = 0.1, .momentum = 0.9});
  optim::NamedTensors state = optimizer.state();
  state[1] = {"momentum.7", state[1].second};
  CHECK_THROWS_WITH(optimizer.load_state(state),
                    Contains("missing: momentum.0") && Contains("unexpected: momentum.7"));
  state[1] = {"momentum.0", Tensor::zeros({3}, {.dtype = DType::f64})};
  CHECK_THROWS_WITH(optimizer.load_state(state), Contains("given f64[3], expected f64[2]"));
}

TEST_CASE("What is no trainable parameter is refused when the optimizer is made", "[optim]") {
  using Parameters = std::vector<Tensor>;
  CHECK_THROWS_WITH(optim::SGD(Parameters{}), Contains("no parameters"));
  CHECK_THROWS_WITH(optim::SGD(Parameters{Tensor()}), Contains("undefined"));
  CHECK_THROWS_WITH(optim::AdamW(Parameters{Tensor::zeros({2})}), Contains("requires no gradient"));
  const Tensor a = leaf({1.0});
  CHECK_THROWS_WITH(optim::Adam(Parameters{a, a}), Contains("twice"));
  CHECK_THROWS_WITH(optim::SGD(Parameters{a}, {.lr = -1.0}), Contains("negative"));
  CHECK_THROWS_WITH(optim::SGD(Parameters{a}, {.nesterov = true}), Contains("momentum"));
  CHECK_THROWS_WITH(optim::Adam(Parameters{a}, {.betas = {1.0, 0.9}}), Contains("beta"));
}

TEST_CASE("A module's parameter that got a gradient but was never listed stops the step", "[optim]") {
  const Tensor listed = nn::init::constant({2}, 1.0), forgotten = nn::init::constant({3}, 1.0);
  optim::SGD optimizer({listed}, {.lr = 0.1});
  listed.set_grad(Tensor::ones({2}));
  forgotten.set_grad(Tensor::ones({3}));
  CHECK_THROWS_WITH(optimizer.step(), Contains("f32[3]") && Contains("visit()"));
  CHECK(listed.to_vector() == std::vector<double>{1.0, 1.0});
  // A user's own leaf, an input say, is nobody's parameter; one that an optimizer has is listed.
  forgotten.set_grad({});
  const Tensor input = leaf({1.0});
  input.set_grad(Tensor::ones({1}, {.dtype = DType::f64}));
  optim::SGD second({forgotten});
  forgotten.set_grad(Tensor::ones({3}));
  CHECK_NOTHROW(optimizer.step());
}

TEST_CASE("clip_grad_norm gives PyTorch's norm and gradients", "[optim]") {
  const DType dtype = GENERATE(DType::f64, DType::f32);
  const double tolerance = dtype == DType::f64 ? 1e-14 : 1e-6;
  std::vector<Tensor> parameters = {start(dtype), start(dtype), start(dtype)};
  for (std::size_t i = 0; i < 2; ++i) parameters[i].set_grad(gradient(static_cast<int>(i), dtype));
  parameters.push_back(parameters[0]);
  parameters.emplace_back();
  const auto version = parameters[0].grad().impl()->storage->version;
  CHECK(nn::clip_grad_norm(parameters, 1.0) == Approx(golden::kClipNorm).epsilon(tolerance));
  CHECK(parameters[0].grad().impl()->storage->version == version + 1);
  for (std::size_t p = 0; p < 2; ++p)
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(parameters[p].grad().to_vector()[i] == Approx(golden::kClipped[p][i]).epsilon(tolerance));
  // Below the bound nothing changes, not even a bit.
  const std::vector<double> before = parameters[0].grad().to_vector();
  CHECK(nn::clip_grad_norm(parameters, 10.0) == Approx(1.0).epsilon(1e-5));
  CHECK(parameters[0].grad().to_vector() == before);
  CHECK_THROWS_WITH(nn::clip_grad_norm(parameters, 0.0), Contains("max_norm"));
}

TEST_CASE("Schedules give PyTorch's learning rates", "[optim]") {
  for (int step = 0; step < 10; ++step) {
    INFO("step " << step);
    CHECK(optim::step_lr(0.5, step, {.step_size = 3, .gamma = 0.2}) ==
          Approx(golden::k_step_lr[step]).epsilon(1e-12));
    CHECK(optim::cosine_annealing(0.5, step, {.t_max = 9, .eta_min = 0.05}) ==
          Approx(golden::k_cosine[step]).epsilon(1e-12));
  }
  CHECK(optim::cosine_annealing(0.5, 100, {.t_max = 9, .eta_min = 0.05}) == Approx(0.05));
  CHECK(optim::warm_up(0, 4) == 0.25);
  CHECK(optim::warm_up(3, 4) == 1.0);
  CHECK(optim::warm_up(9, 4) == 1.0);
  CHECK(optim::warm_up(0, 0) == 1.0);
  CHECK_THROWS_AS(optim::step_lr(0.5, 1, {.step_size = 0}), UserError);
}
