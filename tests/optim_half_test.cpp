// Training with parameters of 16 bits: masters, gradients in f32, state, the loss scaler.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "reprise/autograd/tape.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.info() == b.info() && std::memcmp(a.impl()->data(), b.impl()->data(), a.bytes()) == 0;
}

Tensor half_leaf(std::vector<double> values, DType dtype = DType::bf16) {
  const auto count = static_cast<std::int64_t>(values.size());
  return Tensor::from(values, {count}, {.dtype = dtype, .requires_grad = true});
}

struct Net : nn::Module {
  nn::Linear in{6, 8}, out{8, 3};
  nn::LayerNorm norm{8};
  Tensor operator()(Tensor x) { return out(relu(norm(in(std::move(x).to(in.weight.dtype()))))); }
  void visit(nn::Visitor& visitor) override {
    visitor("in", in);
    visitor("norm", norm);
    visitor("out", out);
  }
};

}  // namespace

TEST_CASE("to(bf16) converts weights, and leaves norms in f32", "[optim]") {
  Net net;
  net.to(DType::bf16);
  CHECK(net.in.weight.dtype() == DType::bf16);
  CHECK(net.in.bias.dtype() == DType::bf16);
  CHECK(net.norm.weight.dtype() == DType::f32);
  nn::BatchNorm2d norm(4);
  norm.to(DType::f16);
  CHECK(norm.weight.dtype() == DType::f32);
  CHECK(norm.running_var.dtype() == DType::f32);
  norm.to(DType::f64);
  CHECK(norm.weight.dtype() == DType::f64);
}

// Each step is too small for bf16 to see: only a master adds them up.
TEST_CASE("steps that bf16 would round away add up in the master", "[optim]") {
  const DType dtype = GENERATE(DType::bf16, DType::f16);
  Tensor w = half_leaf({1.0, -2.0}, dtype);
  optim::SGD optimizer({w}, {.lr = 1.0});
  for (int i = 0; i < 1000; ++i) {
    w.set_grad(Tensor::full({2}, 1e-4));
    optimizer.step();
  }
  CHECK(w.to_vector()[0] == Approx(0.9).epsilon(4e-3));
  CHECK(w.to_vector()[1] == Approx(-2.1).epsilon(4e-3));
}

// The parameter is its master rounded: a bf16 run's masters take the steps that f32 parameters take on the same gradients.
TEST_CASE("a half parameter's master takes the steps of an f32 parameter", "[optim]") {
  const int kind = GENERATE(0, 1, 2);
  const std::vector<double> first = {0.5, -1.25, 3.0, 0.0078125, 100.0};
  Tensor half = half_leaf(first),
         full = Tensor::from(first, {5}, {.dtype = DType::f32, .requires_grad = true});
  const auto make = [&](const Tensor& w) -> std::unique_ptr<optim::Optimizer> {
    if (kind == 0)
      return std::make_unique<optim::SGD>(std::vector<Tensor>{w},
                                          optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
    if (kind == 1)
      return std::make_unique<optim::Adam>(std::vector<Tensor>{w}, optim::AdamOptions{.lr = 0.1});
    return std::make_unique<optim::AdamW>(std::vector<Tensor>{w}, optim::AdamWOptions{.lr = 0.1});
  };
  const auto of_half = make(half), of_full = make(full);
  for (int i = 0; i < 5; ++i) {
    const Tensor g = Tensor::randn({5});
    half.set_grad(g);
    full.set_grad(g);
    of_half->step();
    of_full->step();
    CHECK(same_bits(half.detach(), full.detach().to(DType::bf16)));
  }
  for (const auto& [name, tensor] : of_half->state())
    if (name == "master.0") CHECK(same_bits(tensor, full.detach()));
}

TEST_CASE("a leaf's gradient is f32, added up in f32, and clipped and stepped with", "[optim]") {
  Tensor w = half_leaf({1.0});
  Tape tape;
  // 256 + 1 does not fit into the eight bits of bf16.
  const Tensor y = w * 256.0 + w.to(DType::f32).to(DType::bf16);
  tape.backward(y);
  REQUIRE(w.grad().dtype() == DType::f32);
  CHECK(w.grad().item() == 257.0);
  CHECK_THROWS_WITH(w.set_grad(Tensor::ones({1}, {.dtype = DType::bf16})), Catch::Contains("must be f32[1]"));
}

TEST_CASE("masters are saved and loaded with the same bits, and follow who writes the parameter", "[optim]") {
  Tensor a = half_leaf({1.0, 2.0}), b = half_leaf({1.0, 2.0});
  optim::AdamW first({a}, {.lr = 1e-4}), second({b}, {.lr = 1e-4});
  const auto step = [](optim::AdamW& optimizer, const Tensor& w) {
    w.set_grad(Tensor::full({2}, 0.3));
    optimizer.step();
  };
  for (int i = 0; i < 7; ++i) step(first, a);
  std::memcpy(b.impl()->data(), a.impl()->data(), a.bytes());
  second.load_state(first.state());
  for (int i = 0; i < 7; ++i) {
    step(first, a);
    step(second, b);
  }
  CHECK(same_bits(a.detach(), b.detach()));
  for (std::size_t i = 0; i < first.state().size(); ++i)
    CHECK(same_bits(first.state()[i].second, second.state()[i].second));

  // Element 1 is written by somebody else; element 0's master keeps what it has beyond bf16.
  const auto master = [](optim::AdamW& optimizer) {
    for (const auto& [name, tensor] : optimizer.state())
      if (name == "master.0") return tensor.to_vector();
    return std::vector<double>();
  };
  const double kept = master(first)[0];
  a.write<BFloat16>()[1] = to_bfloat16(-8.0F);
  a.set_grad(Tensor::zeros({2}));
  first.set_lr(0);
  first.step();
  CHECK(master(first)[0] == kept);
  CHECK(master(first)[1] == -8.0);
}

TEST_CASE("a bf16 net learns what its f32 twin learns", "[optim]") {
  const auto train = [](DType dtype) {
    manual_seed(3);
    Net net;
    if (dtype != DType::f32) net.to(dtype);
    optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
    const Tensor x = Tensor::randn({64, 6});
    const Tensor y = permute(argmax(x.reshape({64, 2, 3}), 2), {1, 0})[0];  // the largest of the first three
    double loss = 0;
    for (int i = 0; i < 60; ++i) {
      optimizer.zero_grad();
      Tape tape;
      const Tensor result = cross_entropy(net(x), y);
      tape.backward(result);
      optimizer.step();
      loss = result.item();
    }
    return loss;
  };
  const double exact = train(DType::f32), rounded = train(DType::bf16);
  CHECK(exact < 0.6);
  CHECK(rounded == Approx(exact).margin(0.05));
}

TEST_CASE("the loss scaler keeps small f16 gradients, leaves out steps with an infinity, and adapts",
          "[optim]") {
  optim::LossScaler scaler({.init_scale = 1024, .growth_interval = 2});
  Tensor w = half_leaf({1.0}, DType::f16);
  optim::SGD optimizer({w}, {.lr = 1.0});
  const auto backward = [&](double factor, bool scaled) {
    optimizer.zero_grad();
    Tape tape;
    // The gradient is rounded to f16 on its way through the cast.
    const Tensor loss = (w * 1.0).to(DType::f32) * factor;
    tape.backward(scaled ? scaler.scale(loss) : loss);
  };
  backward(1e-8, false);
  CHECK(w.grad().item() == 0.0);  // below what f16 has
  backward(1e-8, true);
  CHECK(scaler.step(optimizer));
  CHECK(w.grad().item() == Approx(1e-8).epsilon(1e-2));
  scaler.update();
  CHECK(scaler.current() == 1024.0);
  backward(1.0, true);
  CHECK(scaler.step(optimizer));
  scaler.update();
  CHECK(scaler.current() == 2048.0);
  const double before = w.item();
  backward(100.0, true);  // 204,800 is beyond f16
  CHECK(!scaler.step(optimizer));
  scaler.update();
  CHECK(w.item() == before);
  CHECK(scaler.current() == 1024.0);

  backward(2.0, true);
  scaler.unscale(optimizer);
  CHECK(w.grad().item() == 2.0);
  CHECK_THROWS_AS(scaler.unscale(optimizer), UserError);
  CHECK(scaler.step(optimizer));
  CHECK(w.grad().item() == 2.0);
  optim::LossScaler other;
  other.load_state(scaler.state());
  CHECK(other.current() == scaler.current());
  CHECK_THROWS_AS(optim::LossScaler({.growth_factor = 1}), UserError);
  CHECK_THROWS_AS(other.update(), UserError);
}
