// The loss scaler's order of calls, its verdicts, and what it does when no scale helps.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/nn/clip.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Matchers::Contains;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Scaled {
  Tensor w = Tensor::ones({1}, {.requires_grad = true});
  optim::SGD sgd{std::vector<Tensor>{w}, {.lr = 0.1}};
  optim::LossScaler scaler{{.init_scale = 1024}};
  void backward(double factor = 1.0) {
    Tape tape;
    tape.backward(scaler.scale(sum(w) * factor));
  }
};

}  // namespace

TEST_CASE("a second step without update is refused, and uses no gradient still scaled", "[optim]") {
  Scaled s;
  s.backward();
  CHECK(s.scaler.step(s.sgd));
  CHECK(s.w.item() == Approx(0.9));
  CHECK_THROWS_WITH(s.scaler.step(s.sgd), Contains("second time") && Contains("update()"));
  s.sgd.zero_grad();
  s.backward();
  CHECK_THROWS_WITH(s.scaler.step(s.sgd), Contains("update()"));
  CHECK(s.w.item() == Approx(0.9));
  s.scaler.update();
  CHECK(s.scaler.step(s.sgd));
  CHECK(s.w.item() == Approx(0.8));
}

TEST_CASE("a verdict and an unscaling hold for the gradients that were there, and no others", "[optim]") {
  const bool zero = GENERATE(true, false);  // or the backward adds to what is there
  Scaled s;
  s.backward();
  s.scaler.unscale(s.sgd);
  if (zero) s.sgd.zero_grad();
  s.backward();
  CHECK_THROWS_WITH(s.scaler.step(s.sgd), Contains("after unscale()"));
  CHECK(s.w.item() == 1.0);
  // A skipped step of the past does not skip this one.
  s.sgd.zero_grad();
  s.scaler.update();
  s.backward(1e300);
  CHECK_FALSE(s.scaler.step(s.sgd));
  s.sgd.zero_grad();
  s.backward();
  CHECK_THROWS_WITH(s.scaler.step(s.sgd), Contains("second time"));
  s.scaler.update();
  s.sgd.zero_grad();
  s.backward();
  CHECK(s.scaler.step(s.sgd));
  CHECK(s.w.item() == Approx(0.9));
}

TEST_CASE("gradients that are set after unscale are refused; clipping and zero_grad are not", "[optim]") {
  Scaled s;
  s.backward();
  s.scaler.unscale(s.sgd);
  s.w.set_grad(Tensor::full({1}, 1024.0));
  CHECK_THROWS_WITH(s.scaler.step(s.sgd), Contains("after unscale()"));
  s.scaler.update();
  s.scaler.unscale(s.sgd);
  CHECK(nn::clip_grad_norm({s.w}, 0.5) == Approx(1.0));
  CHECK(s.scaler.step(s.sgd));
  CHECK(s.w.item() == Approx(0.95));
  s.scaler.update();
  s.sgd.zero_grad();
  s.scaler.unscale(s.sgd);  // nothing there
  s.w.set_grad(Tensor::full({1}, 1024.0));
  CHECK_THROWS_WITH(s.scaler.step(s.sgd), Contains("after unscale()"));
}

TEST_CASE("an optimizer that moved, and one that shares a parameter, are not unscaled twice", "[optim]") {
  Scaled s;
  s.backward();
  s.scaler.unscale(s.sgd);
  optim::SGD moved = std::move(s.sgd);
  CHECK(s.scaler.step(moved));
  CHECK(s.w.item() == Approx(0.9));
  CHECK_THROWS_AS(s.scaler.step(s.sgd), UserError);  // moved from
  s.scaler.update();

  const Tensor v = Tensor::ones({1}, {.requires_grad = true});
  optim::SGD both({v, s.w}, {.lr = 0.1});
  s.backward();
  s.scaler.unscale(moved);
  CHECK_THROWS_WITH(s.scaler.unscale(both), Contains("one optimizer"));
  CHECK_THROWS_AS(s.scaler.step(both), UserError);
}

TEST_CASE("gradients that are never finite end in an error, not in a scale of 0", "[optim]") {
  const double factor = GENERATE(std::nan(""), kInfinity);
  Scaled s;
  int left_out = 0;
  std::string message;
  while (left_out < 1000 && message.empty()) {
    s.sgd.zero_grad();
    s.backward(factor);
    CHECK_FALSE(s.scaler.step(s.sgd));
    try {
      s.scaler.update();
    } catch (const UserError& error) {
      message = error.what();
    }
    ++left_out;
  }
  CHECK(left_out == 31);  // from 2^10 to 2^-20, and one more
  CHECK_THAT(message, Contains("31 in a row") && Contains("min_scale"));
  CHECK(s.scaler.current() == 0x1p-20);
  CHECK(s.w.item() == 1.0);
  // Training may go on, and a good step ends the row.
  s.sgd.zero_grad();
  s.backward();
  CHECK(s.scaler.step(s.sgd));
  CHECK_NOTHROW(s.scaler.update());
  CHECK(s.w.item() == Approx(0.9));
}

TEST_CASE("the scale does not grow to infinity", "[optim]") {
  const Tensor w = Tensor::ones({1}, {.requires_grad = true});
  optim::SGD sgd({w}, {.lr = 0.1});
  optim::LossScaler scaler({.init_scale = 0x1p1022, .growth_interval = 1});
  for (int i = 0; i < 3; ++i) {
    w.set_grad(Tensor::zeros({1}));
    scaler.step(sgd);
    scaler.update();
  }
  CHECK(scaler.current() == 0x1p1023);
}

TEST_CASE("options and states of a loss scaler are checked", "[optim]") {
  for (const double bad : {0.0, -1.0, kInfinity, std::nan("")}) {
    CHECK_THROWS_AS(optim::LossScaler({.init_scale = bad}), UserError);
    CHECK_THROWS_AS(optim::LossScaler({.min_scale = bad}), UserError);
    CHECK_THROWS_AS(optim::LossScaler({.growth_factor = bad}), UserError);
    CHECK_THROWS_AS(optim::LossScaler({.backoff_factor = bad}), UserError);
  }
  CHECK_THROWS_AS(optim::LossScaler({.init_scale = 1, .min_scale = 2}), UserError);
  optim::LossScaler scaler({.init_scale = 8});
  const auto state = [](double scale, std::int64_t growth) {
    return optim::NamedTensors{
        {"scale", Tensor::full({1}, scale, {.dtype = DType::f64})},
        {"growth", Tensor::from(std::vector<std::int64_t>{growth}, {1}, {.dtype = DType::i64})}};
  };
  for (const double bad : {0.0, -4.0, kInfinity, std::nan(""), 1e-300})
    CHECK_THROWS_WITH(scaler.load_state(state(bad, 0)), Contains("scale"));
  CHECK_THROWS_WITH(scaler.load_state(state(4, -1)), Contains("growth -1"));
  optim::NamedTensors wrong = state(4, 1);
  wrong[0].second = Tensor::full({1}, 4.0);
  CHECK_THROWS_WITH(scaler.load_state(wrong), Contains("f64"));
  wrong[0] = wrong[1];
  CHECK_THROWS_AS(scaler.load_state(wrong), UserError);
  CHECK(scaler.current() == 8.0);
  scaler.load_state(state(4, 1));
  CHECK(scaler.current() == 4.0);
}

TEST_CASE("a growth beyond a shorter interval grows at the next good step", "[optim]") {
  const Tensor w = Tensor::ones({1}, {.requires_grad = true});
  optim::SGD sgd({w}, {.lr = 0.1});
  optim::LossScaler scaler({.init_scale = 8, .growth_interval = 3});
  scaler.load_state({{"scale", Tensor::full({1}, 8.0, {.dtype = DType::f64})},
                     {"growth", Tensor::full({1}, 1000, {.dtype = DType::i64})}});
  w.set_grad(Tensor::zeros({1}));
  scaler.step(sgd);
  scaler.update();
  CHECK(scaler.current() == 16.0);
}

TEST_CASE("a dry run leaves nothing behind in a loss scaler", "[optim]") {
  Scaled s;
  {
    const DryRun dry_run;
    s.backward();
    s.scaler.unscale(s.sgd);
    CHECK(s.scaler.step(s.sgd));
    s.scaler.update();
    s.scaler.unscale(s.sgd);
  }
  s.backward();
  s.scaler.unscale(s.sgd);
  CHECK(s.scaler.step(s.sgd));
  CHECK(s.w.item() == Approx(0.9));
}
