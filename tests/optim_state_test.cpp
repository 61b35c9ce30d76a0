// The numbers that optimizers and schedules take, and states: by name, checked, refused as a whole.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>

#include "reprise/nn/nn.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Matchers::Contains;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
const double kBadRates[] = {-1.0, -1e-300, kInfinity, -kInfinity, kNaN};

Tensor leaf(const std::string& name, std::int64_t size = 1) {
  Tensor made = Tensor::ones({size}, {.requires_grad = true});
  if (!name.empty()) made.set_name(name);
  return made;
}

void step_with(optim::Optimizer& optimizer, const Tensor& parameter, double gradient) {
  parameter.set_grad(Tensor::full(parameter.shape(), gradient));
  optimizer.step();
  parameter.set_grad({});
}

std::vector<std::string> names(const optim::NamedTensors& state) {
  std::vector<std::string> list;
  for (const auto& [name, tensor] : state) list.push_back(name);
  return list;
}

Tensor& entry(optim::NamedTensors& state, const std::string& name) {
  for (auto& [own, tensor] : state)
    if (own == name) return tensor;
  throw UserError("no " + name);
}

}  // namespace

TEST_CASE("rates that are negative, infinite or NaN are refused wherever they come in", "[optim]") {
  const Tensor w = leaf("w");
  const std::vector<Tensor> list = {w};
  optim::SGD sgd(list, {.lr = 0.5});
  for (const double bad : kBadRates) {
    INFO(bad);
    CHECK_THROWS_WITH(optim::SGD(list, {.lr = bad}), Contains("SGD: lr"));
    CHECK_THROWS_WITH(optim::SGD(list, {.momentum = bad}), Contains("SGD: momentum"));
    CHECK_THROWS_WITH(optim::SGD(list, {.weight_decay = bad}), Contains("SGD: weight_decay"));
    CHECK_THROWS_WITH(optim::Adam(list, {.lr = bad}), Contains("Adam: lr"));
    CHECK_THROWS_WITH(optim::Adam(list, {.eps = bad}), Contains("Adam: eps"));
    CHECK_THROWS_WITH(optim::AdamW(list, {.betas = {0.9, bad}}), Contains("AdamW: beta"));
    CHECK_THROWS_WITH(optim::AdamW(list, {.weight_decay = bad}), Contains("AdamW: weight_decay"));
    CHECK_THROWS_WITH(optim::SGD({{.parameters = list, .lr = bad}}), Contains("SGD: lr"));
    CHECK_THROWS_WITH(optim::SGD({{.parameters = list, .weight_decay = bad}}), Contains("SGD: weight_decay"));
    CHECK_THROWS_WITH(sgd.set_lr(bad), Contains("SGD: lr"));
    CHECK_THROWS_WITH(sgd.set_lr(0, bad), Contains("SGD: lr"));
    CHECK_THROWS_WITH(optim::step_lr(bad, 1, {}), Contains("step_lr: lr"));
    CHECK_THROWS_WITH(optim::step_lr(0.1, 1, {.gamma = bad}), Contains("step_lr: gamma"));
    CHECK_THROWS_WITH(optim::cosine_annealing(bad, 1, {}), Contains("cosine_annealing: lr"));
    CHECK_THROWS_WITH(optim::cosine_annealing(0.1, 1, {.eta_min = bad}),
                      Contains("cosine_annealing: eta_min"));
  }
  CHECK(sgd.lr() == 0.5);
}

TEST_CASE("schedules take any step from 0 on, and no other", "[optim]") {
  constexpr std::int64_t kLast = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t bad : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    CHECK_THROWS_AS(optim::step_lr(0.1, bad, {}), UserError);
    CHECK_THROWS_AS(optim::cosine_annealing(0.1, bad, {}), UserError);
    CHECK_THROWS_AS(optim::warm_up(bad, 10), UserError);
    CHECK_THROWS_AS(optim::warm_up(1, bad), UserError);
  }
  CHECK(optim::warm_up(kLast, 10) == 1.0);
  CHECK(optim::warm_up(kLast - 1, kLast) == 1.0);
  CHECK(optim::cosine_annealing(0.1, kLast, {.t_max = 10}) == Approx(0).margin(1e-15));
  CHECK(optim::step_lr(0.1, kLast, {.step_size = 1}) == 0.0);
}

TEST_CASE("state goes by the parameters' names, in any order", "[optim]") {
  const Tensor a = leaf("layer.weight"), b = leaf("layer.bias");
  optim::SGD optimizer({a, b}, {.lr = 0.1, .momentum = 0.9});
  step_with(optimizer, a, 3.0);
  step_with(optimizer, b, 5.0);
  step_with(optimizer, b, 5.0);
  const optim::NamedTensors state = optimizer.state();
  CHECK(names(state) == std::vector<std::string>{"steps.layer.weight", "momentum.layer.weight",
                                                 "steps.layer.bias", "momentum.layer.bias"});
  // Listed the other way round, each parameter gets its own memory.
  const Tensor c = leaf("layer.bias"), d = leaf("layer.weight");
  optim::SGD other({c, d}, {.lr = 0.1, .momentum = 0.9});
  other.load_state({state[3], state[0], state[2], state[1]});
  optim::NamedTensors loaded = other.state();
  CHECK(entry(loaded, "momentum.layer.weight").item() == 3.0);
  CHECK(entry(loaded, "momentum.layer.bias").item() == Approx(9.5));
  CHECK(entry(loaded, "steps.layer.bias").item() == 2.0);
  // A parameter of another name and the same shape does not take it.
  const Tensor e = leaf("head.weight"), f = leaf("layer.bias");
  optim::SGD stranger({e, f}, {.lr = 0.1, .momentum = 0.9});
  CHECK_THROWS_WITH(stranger.load_state(state), Contains("missing: momentum.head.weight") &&
                                                    Contains("unexpected: momentum.layer.weight"));
}

TEST_CASE("parameters without a name go by number, and a second one of a name gets its own", "[optim]") {
  const Tensor a = leaf(""), b = leaf("w"), c = leaf("w"), d = leaf("w#2");
  optim::SGD optimizer({a, b, c, d}, {.momentum = 0.9});
  const std::vector<std::string> all = names(optimizer.state());
  CHECK(all == std::vector<std::string>{"steps.0", "momentum.0", "steps.w", "momentum.w", "steps.w#2",
                                        "momentum.w#2", "steps.w#2#2", "momentum.w#2#2"});
  // The names are those of the time when the optimizer was made.
  b.set_name("another");
  CHECK(names(optimizer.state()) == all);
  optim::SGD again({leaf(""), leaf("w"), leaf("w"), leaf("w#2")}, {.momentum = 0.9});
  CHECK_NOTHROW(again.load_state(optimizer.state()));
}

TEST_CASE("a state with impossible numbers is refused, and changes nothing", "[optim]") {
  const Tensor w = leaf("w", 3);
  const Tensor h = Tensor::ones({2}, {.dtype = DType::bf16, .requires_grad = true});
  h.set_name("h");
  optim::AdamW adam({w, h});
  step_with(adam, w, 1.0);
  const optim::NamedTensors good = adam.state();
  const auto refused = [&](const std::string& name, const Tensor& value, const std::string& why) {
    INFO(name);
    optim::NamedTensors state = good;
    entry(state, name) = value;
    CHECK_THROWS_WITH(adam.load_state(state), Contains(name) && Contains(why));
    const optim::NamedTensors now = adam.state();
    for (std::size_t i = 0; i < good.size(); ++i)
      CHECK(now[i].second.to_vector() == good[i].second.to_vector());
  };
  const auto count = [](std::int64_t steps) {
    return Tensor::from(std::vector<std::int64_t>{steps}, {1}, {.dtype = DType::i64});
  };
  const auto three = [](double value) {
    return Tensor::from<double>({0, value, 0}, {3}, {.dtype = DType::f32});
  };
  refused("steps.w", count(-5), "-5");
  refused("steps.w", count(std::numeric_limits<std::int64_t>::max()), "no count");
  refused("steps.w", Tensor::full({2}, -5, {.dtype = DType::i64}), "expected i64[1]");
  refused("m.w", three(kNaN), "nan");
  refused("m.w", three(kInfinity), "inf");
  refused("v.w", three(-1e-3), "-0.001");
  refused("v.w", three(kNaN), "nan");
  refused("master.h", Tensor::full({2}, kInfinity), "inf");
  refused("m.w", Tensor(), "undefined");
  refused("m.w", Tensor::zeros({3}, {.dtype = DType::f64}), "expected f32[3]");
  optim::NamedTensors state = good;
  entry(state, "m.w") = three(-2.0);  // m may be negative
  CHECK_NOTHROW(adam.load_state(state));
  adam.load_state(good);
  state = good;
  state.push_back(good[1]);
  CHECK_THROWS_WITH(adam.load_state(state), Contains("given twice: m.w"));
}
