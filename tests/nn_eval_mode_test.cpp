// Evaluation in the middle of training: which modes come back afterwards, and what generate does with logits of no order.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "reprise/core/random.h"
#include "reprise/nn/nn.h"

using namespace reprise;
using Catch::Matchers::Contains;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

nn::Model small_gpt() {
  manual_seed(1);
  return nn::make_model("gpt",
                        {.classes = 20, .layers = 2, .width = 16, .heads = 2, .context = 8, .dropout = 0.5});
}

std::vector<bool> modes(nn::Module& root) {
  std::vector<bool> list = {root.training()};
  nn::for_each<nn::Module>(root,
                           [&](std::string_view, nn::Module& part) { list.push_back(part.training()); });
  return list;
}

// The dropouts of every second part are frozen in evaluation mode.
void mix_modes(nn::Module& root) {
  int count = 0;
  nn::for_each<nn::Dropout>(root, [&](std::string_view, nn::Dropout& drop) { drop.train(count++ % 2 == 0); });
}

// A model of tokens whose logits are all the given ones.
struct Constant : nn::ModelBlock {
  Tensor logits;
  explicit Constant(const std::vector<double>& values)
      : logits(Tensor::from(values, {std::ssize(values)}, {.dtype = DType::f32, .requires_grad = true})) {}
  Tensor operator()(Tensor ids) override {
    std::vector<double> all;
    for (std::int64_t i = 0; i < ids.numel(); ++i)
      for (const double value : logits.to_vector()) all.push_back(value);
    return Tensor::from(all, {ids.size(0), ids.size(1), logits.numel()}, {.dtype = DType::f32});
  }
  void visit(nn::Visitor& visitor) override { visitor("logits", logits); }
};
nn::Model constant_model(const std::vector<double>& logits) {
  return nn::Model("constant", {.shape = {4}, .dtype = DType::i64}, std::ssize(logits), nullptr, {},
                   std::make_unique<Constant>(logits));
}

}  // namespace

TEST_CASE("EvalMode gives every module its own mode again, after an error too", "[nn]") {
  nn::Model model = small_gpt();
  mix_modes(model);
  const std::vector<bool> before = modes(model);
  {
    const nn::EvalMode eval(model);
    for (const bool training : modes(model)) CHECK_FALSE(training);
    {
      const nn::EvalMode inner(model);
      for (const bool training : modes(model)) CHECK_FALSE(training);
    }
    for (const bool training : modes(model)) CHECK_FALSE(training);
  }
  CHECK(modes(model) == before);
  const auto fail = [&] {
    const nn::EvalMode eval(model);
    throw UserError("in the middle");
  };
  CHECK_THROWS_AS(fail(), UserError);
  CHECK(modes(model) == before);
}

TEST_CASE("generate leaves the mode of each module as it was, after an error too", "[nn]") {
  nn::Model model = small_gpt();
  mix_modes(model);
  const std::vector<bool> before = modes(model);
  nn::generate(model, {1, 2}, {.tokens = 2});
  CHECK(modes(model) == before);
  const auto stop = [](std::int64_t) { throw UserError("enough"); };
  CHECK_THROWS_WITH(nn::generate(model, {1}, {.tokens = 2, .each = stop}), "enough");
  CHECK(modes(model) == before);
  CHECK_THROWS_AS(nn::generate(model, {99}, {.tokens = 2}), UserError);
  CHECK(modes(model) == before);
}

TEST_CASE("generate refuses logits without an order: greedy, sampled and among the likeliest", "[nn]") {
  const double temperature = GENERATE(0.0, 1.0);
  const std::int64_t top_k = GENERATE(0, 2);
  const nn::GenerateOptions options{.tokens = 3, .temperature = temperature, .top_k = top_k};
  for (const double bad : {std::nan(""), kInfinity})
    for (std::size_t place = 0; place < 3; ++place) {
      std::vector<double> logits = {0.5, 2.0, 1.0};
      logits[place] = bad;
      nn::Model model = constant_model(logits);
      CHECK_THROWS_WITH(nn::generate(model, {1}, options),
                        Contains("token " + std::to_string(place)) && Contains("weights"));
    }
  nn::Model none = constant_model({-kInfinity, -kInfinity});
  CHECK_THROWS_WITH(nn::generate(none, {1}, options), Contains("every logit at place 1"));
}

TEST_CASE("generate never chooses a token whose logit is -infinity", "[nn]") {
  nn::Model model = constant_model({-kInfinity, 0.0, -kInfinity});
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    CHECK(nn::generate(model, {1}, {.tokens = 2, .seed = seed}) == std::vector<std::int64_t>{1, 1});
}
