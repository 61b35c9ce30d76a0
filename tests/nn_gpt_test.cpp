// The GPT: what a token may depend on, the tied head, the initial weights, models that need not fit, and generation.
#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Contains;

namespace {

const nn::GptOptions kSmall = {.vocabulary = 11, .context = 8, .layers = 2, .width = 12, .heads = 3};

Tensor ids(const std::vector<std::int64_t>& values, const Shape& shape) {
  return Tensor::from(values, shape, {.dtype = DType::i64});
}

double deviation(const Tensor& x) {
  double sum = 0;
  for (const double value : x.to_vector()) sum += value * value;
  return std::sqrt(sum / static_cast<double>(x.numel()));
}

Tensor parameter(nn::Model& model, std::string_view wanted) {
  for (const auto& [name, tensor] : model.named_parameters())
    if (name == wanted) return tensor;
  throw UserError("no parameter " + std::string(wanted));
}

}  // namespace

TEST_CASE("gpt: a token sees itself and what came before, and nothing else", "[nn]") {
  manual_seed(1);
  nn::Model model = nn::make_gpt(kSmall);
  const std::vector<double> all = model(ids({1, 2, 3, 4, 5, 6}, {1, 6})).to_vector();
  const std::vector<double> changed = model(ids({1, 2, 3, 9, 5, 6}, {1, 6})).to_vector();
  const std::vector<double> prefix = model(ids({1, 2, 3}, {1, 3})).to_vector();
  for (std::size_t i = 0; i < 3 * 11; ++i) {
    CHECK(changed[i] == all[i]);
    CHECK(prefix[i] == Approx(all[i]).epsilon(1e-5).margin(1e-6));
  }
  for (std::size_t place = 3; place < 6; ++place) {
    double difference = 0;
    for (std::size_t i = 0; i < 11; ++i)
      difference += std::abs(changed[place * 11 + i] - all[place * 11 + i]);
    CHECK(difference > 1e-3);
  }
}

TEST_CASE("gpt: more tokens than the context, and other ids than i64, are refused", "[nn]") {
  nn::Model model = nn::make_gpt(kSmall);
  CHECK_THROWS_WITH(model(Tensor::zeros({1, 9}, {.dtype = DType::i64})), Contains("[1, 9]") && Contains("8"));
  CHECK_THROWS_WITH(model(Tensor::zeros({1, 8})), Contains("i64"));
}

TEST_CASE("gpt: the parameters' names", "[nn]") {
  nn::Model model = nn::make_gpt(kSmall);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.named_parameters()) names.push_back(name);
  REQUIRE(names.size() == 2 + 2 * 12 + 2 + 1);
  CHECK(std::vector<std::string>(names.begin(), names.begin() + 6) ==
        std::vector<std::string>{"tokens.weight", "positions.weight", "blocks.0.norm1.weight",
                                 "blocks.0.norm1.bias", "blocks.0.qkv.weight", "blocks.0.qkv.bias"});
  CHECK(names.back() == "head.weight");
}

TEST_CASE("gpt: a tied head shares the embedding's weight and adds to its gradient", "[nn]") {
  nn::GptOptions options = kSmall;
  options.tied_head = true;
  manual_seed(2);
  nn::Model tied = nn::make_gpt(options);
  nn::Model untied = nn::make_gpt(kSmall);
  for (const auto& [name, tensor] : tied.named_parameters()) CHECK(name != "head.weight");
  const Tensor x = ids({1, 2, 3, 1}, {2, 2}), y = ids({2, 3, 1, 5}, {2, 2});
  // The untied model with the same values: its two gradients sum to the tied one's.
  for (const auto& [name, tensor] : untied.named_parameters()) {
    const Tensor from = parameter(tied, name == "head.weight" ? "tokens.weight" : name);
    const auto values = from.read<float>();
    std::copy(values.begin(), values.end(), tensor.write<float>().begin());
  }
  for (nn::Model* model : {&tied, &untied}) {
    Tape tape;
    tape.backward(cross_entropy((*model)(x), y));
  }
  const std::vector<double> sum = parameter(tied, "tokens.weight").grad().to_vector();
  const std::vector<double> embedding = parameter(untied, "tokens.weight").grad().to_vector();
  const std::vector<double> head = parameter(untied, "head.weight").grad().to_vector();
  for (std::size_t i = 0; i < sum.size(); ++i)
    CHECK(sum[i] == Approx(embedding[i] + head[i]).epsilon(1e-4).margin(1e-6));
}

TEST_CASE("gpt: initial weights are PyTorch's, or GPT-2's", "[nn]") {
  nn::GptOptions options = {.vocabulary = 100, .context = 64, .layers = 2, .width = 96, .heads = 3};
  manual_seed(3);
  nn::Model model = nn::make_gpt(options);
  CHECK(deviation(parameter(model, "tokens.weight")) == Approx(1.0).epsilon(0.05));
  // U(-1/sqrt(in), 1/sqrt(in))
  CHECK(deviation(parameter(model, "blocks.1.qkv.weight")) == Approx(1 / std::sqrt(3 * 96.0)).epsilon(0.05));
  CHECK(deviation(parameter(model, "blocks.1.down.weight")) ==
        Approx(1 / std::sqrt(3 * 4 * 96.0)).epsilon(0.05));
  options.initial_std = 0.02;
  options.tied_head = true;
  nn::Model gpt2 = nn::make_gpt(options);
  CHECK(deviation(parameter(gpt2, "tokens.weight")) == Approx(0.02).epsilon(0.05));
  CHECK(deviation(parameter(gpt2, "blocks.0.up.weight")) == Approx(0.02).epsilon(0.05));
  CHECK(deviation(parameter(gpt2, "blocks.0.down.weight")) == Approx(0.01).epsilon(0.05));  // 2 layers
  CHECK(deviation(parameter(gpt2, "blocks.0.proj.weight")) == Approx(0.01).epsilon(0.05));
  CHECK(deviation(parameter(gpt2, "blocks.0.qkv.bias")) == 0);
}

TEST_CASE("gpt: dropout works in training only", "[nn]") {
  nn::GptOptions options = kSmall;
  options.dropout = 0.5;
  nn::Model model = nn::make_gpt(options);
  const Tensor x = ids({1, 2, 3, 4}, {1, 4});
  CHECK(model(x).to_vector() != model(x).to_vector());
  model.eval();
  CHECK(model(x).to_vector() == model(x).to_vector());
}

TEST_CASE("gpt2: the largest is built, run and planned without its memory", "[nn]") {
  const Device cpu = Device::cpu();
  const std::size_t live = memory::live(cpu), reserved = memory::reserved(cpu);
  const Trace trace = checkpoint::trace([](Tape& tape) {
    nn::Model model = nn::make_model("gpt2-1.5b");
    const Tensor x = Tensor::empty({4, 1024}, {.dtype = DType::i64});
    tape.backward(cross_entropy(model(x), x));
  });
  const checkpoint::Simulation plain = checkpoint::simulate(trace, checkpoint::PlanBuilder(trace).finish());
  CHECK(plain.peak_bytes > GiB(20));  // 5.8 GiB of weights, as much for their gradients, and activations
  const Plan plan = checkpoint::plan(trace, {.planner = checkpoint::sqrt_planner});
  CHECK(plan.predicted_peak() < plain.peak_bytes);
  CHECK(plan.replays() > 0);
  CHECK(memory::live(cpu) == live);
  CHECK(memory::reserved(cpu) == reserved);
}

namespace {

// A token's successor is the next number: learned in a few steps.
nn::Model counting_model() {
  manual_seed(4);
  nn::Model model = nn::make_gpt(kSmall);
  optim::AdamW optimizer(model.parameters(), {.lr = 0.02});
  std::vector<std::int64_t> x, y;
  for (std::int64_t i = 0; i < 11 * 8; ++i) {
    x.push_back((i / 8 + i % 8) % 11);
    y.push_back((x.back() + 1) % 11);
  }
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    Tape tape;
    tape.backward(cross_entropy(model(ids(x, {11, 8})), ids(y, {11, 8})));
    optimizer.step();
  }
  return model;
}

}  // namespace

TEST_CASE("generate: greedy continues what was learned, past the context", "[nn]") {
  nn::Model model = counting_model();
  std::vector<std::int64_t> heard;
  const std::vector<std::int64_t> tokens = nn::generate(
      model, {3, 4}, {.tokens = 12, .temperature = 0, .each = [&](std::int64_t t) { heard.push_back(t); }});
  CHECK(tokens == std::vector<std::int64_t>{5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4, 5});
  CHECK(heard == tokens);
  CHECK(model.training());
  CHECK(nn::generate(model, {3, 4}, {.tokens = 12, .top_k = 1, .seed = 5}) == tokens);
}

TEST_CASE("generate: samples follow softmax at the temperature, by seed", "[nn]") {
  manual_seed(5);
  nn::Model model = nn::make_gpt(kSmall);
  const std::vector<std::int64_t> prompt = {1, 2, 3};
  const std::vector<double> logits = model(ids(prompt, {1, 3})).to_vector();
  for (const double temperature : {0.5, 1.0, 2.0}) {
    std::vector<double> expected;
    double sum = 0;
    for (std::size_t i = 0; i < 11; ++i) sum += std::exp(logits[2 * 11 + i] / temperature);
    for (std::size_t i = 0; i < 11; ++i) expected.push_back(std::exp(logits[2 * 11 + i] / temperature) / sum);
    std::vector<double> counts(11);
    constexpr int kSamples = 2000;
    for (std::uint64_t seed = 0; seed < kSamples; ++seed)
      ++counts[static_cast<std::size_t>(
          nn::generate(model, prompt, {.tokens = 1, .temperature = temperature, .seed = seed})[0])];
    for (std::size_t i = 0; i < 11; ++i)
      CHECK(counts[i] / kSamples == Approx(expected[i]).margin(0.04));  // more than 3.5 standard deviations
  }
  const auto draw = [&](std::uint64_t seed) {
    return nn::generate(model, prompt, {.tokens = 30, .seed = seed});
  };
  CHECK(draw(1) == draw(1));
  CHECK(draw(1) != draw(2));
  std::set<std::int64_t> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    seen.insert(nn::generate(model, prompt, {.tokens = 1, .temperature = 5, .top_k = 2, .seed = seed})[0]);
  CHECK(seen.size() == 2);
}

TEST_CASE("generate: what cannot be is refused", "[nn]") {
  nn::Model model = nn::make_gpt(kSmall);
  CHECK_THROWS_WITH(nn::generate(model, {}), Contains("prompt"));
  CHECK_THROWS_WITH(nn::generate(model, {1}, {.temperature = -1}), Contains("temperature -1"));
  CHECK_THROWS_WITH(nn::generate(model, {11}), Contains("11"));
  nn::Model mlp = nn::make_model("mlp");
  CHECK_THROWS_WITH(nn::generate(mlp, {1}), Contains("mlp"));
}
