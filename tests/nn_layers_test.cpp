// Layers against PyTorch's results (golden/nn.py), and what training and evaluation mode change.
#include <catch2/catch.hpp>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/core/safetensors.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/golden/nn.h"
#include "reprise/tests/temporary_file.h"

using namespace reprise;

namespace {

struct SmallNet : nn::Module {
  nn::Conv2d conv{2, 3, {.kernel_size = {3, 2}, .padding = {1, 0}}};
  nn::BatchNorm2d norm{3};
  nn::Linear linear{18, 2};
  Tensor operator()(Tensor x, bool fused = true) {
    Tensor h = conv(std::move(x));
    h = fused ? norm.then_relu(std::move(h)) : relu(norm(std::move(h)));
    return linear(flatten(max_pool2d(std::move(h), {.kernel_size = {2, 1}}), 1));
  }
  void visit(nn::Visitor& visitor) override {
    visitor("conv", conv);
    visitor("norm", norm);
    visitor("linear", linear);
  }
};

template <std::size_t N>
Tensor f64(const double (&values)[N], const Shape& shape) {
  return Tensor::from<double>(std::span<const double>(values), shape, {.dtype = DType::f64});
}

template <std::size_t N>
void check_close(const Tensor& tensor, const double (&expected)[N], double tolerance) {
  const std::vector<double> values = tensor.to_vector();
  REQUIRE(values.size() == N);
  for (std::size_t i = 0; i < N; ++i)
    CHECK(values[i] == Approx(expected[i]).epsilon(tolerance).margin(tolerance));
}

// The weights as PyTorch keeps them, in a file as PyTorch writes it.
void write_pytorch_file(const std::string& path) {
  write_safetensors(path,
                    {{"conv.weight", f64(golden::kConvWeight, {3, 2, 3, 2})},
                     {"conv.bias", f64(golden::kConvBias, {3})},
                     {"norm.weight", f64(golden::kNormWeight, {3})},
                     {"norm.bias", f64(golden::kNormBias, {3})},
                     {"norm.running_mean", Tensor::zeros({3})},
                     {"norm.running_var", Tensor::ones({3})},
                     {"norm.num_batches_tracked", Tensor::zeros({}, {.dtype = DType::i64})},
                     {"linear.weight", f64(golden::kLinearWeight, {2, 18})},
                     {"linear.bias", f64(golden::kLinearBias, {2})}},
                    {{"format", "pt"}});
}

}  // namespace

TEST_CASE("Weights of PyTorch's give PyTorch's outputs and running statistics", "[nn]") {
  const bool fused = GENERATE(true, false);
  const DType dtype = GENERATE(DType::f64, DType::f32);
  const double tolerance = dtype == DType::f64 ? 1e-12 : 1e-5;
  const TemporaryFile file("small_net.safetensors");
  write_pytorch_file(file.path());
  SmallNet net;
  net.to(dtype);
  nn::load(net, file.path(), {.from_pytorch = true, .flattened = {{"linear.weight", 3}}});
  const Shape shape = {2, 4, 4, 2};
  check_close(net(f64(golden::kInput0, shape).to(dtype), fused), golden::kOutput0, tolerance);
  check_close(net(f64(golden::kInput1, shape).to(dtype), fused), golden::kOutput1, tolerance);
  {
    // In a region too, where the forward pass runs twice: the statistics move once.
    Tape tape;
    Tensor y = checkpoint::run([&] { return net(f64(golden::kInput2, shape).to(dtype), fused); });
    check_close(y, golden::kOutput2, tolerance);
    tape.backward(sum(y));
    CHECK(tape.replays() > 0);
  }
  check_close(net.norm.running_mean, golden::kRunningMean, tolerance);
  check_close(net.norm.running_var, golden::kRunningVar, tolerance);
  net.eval();
  check_close(net(f64(golden::kInput0, shape).to(dtype), fused), golden::kOutputEval, tolerance);
  check_close(net.norm.running_mean, golden::kRunningMean, tolerance);
}

TEST_CASE("A dry run leaves the running statistics as they are", "[nn]") {
  nn::BatchNorm2d norm(3);
  const auto* before = norm.running_mean.impl().get();
  {
    const DryRun dry_run;
    norm(Tensor::randn({2, 2, 2, 3}));
  }
  CHECK(norm.running_mean.impl().get() == before);
  CHECK(norm.running_var.to_vector() == std::vector<double>(3, 1.0));
  norm(Tensor::randn({2, 2, 2, 3}));
  CHECK(norm.running_var.to_vector() != std::vector<double>(3, 1.0));
}

TEST_CASE("Dropout scales what it keeps in training and does nothing in evaluation", "[nn]") {
  manual_seed(3);
  nn::Dropout drop(0.25);
  const Tensor x = Tensor::ones({1000});
  double kept = 0;
  for (double value : drop(x).to_vector()) {
    CHECK((value == 0.0 || value == Approx(1.0 / 0.75)));
    kept += value != 0.0;
  }
  CHECK(kept == Approx(750).margin(60));
  drop.eval();
  CHECK(drop(x).impl() == x.impl());
}

TEST_CASE("A Sequential calls modules, functions and lambdas in order", "[nn]") {
  nn::Sequential net(
      nn::Linear(3, 3), relu, [](Tensor x) { return std::move(x) * 2.0; }, nn::ReLU());
  const Tensor x = Tensor::randn({2, 3});
  CHECK(net(x).to_vector() == (relu(net.call(0, x)) * 2.0).to_vector());
  CHECK(net.size() == 4);
  CHECK(net.module(0) != nullptr);
  CHECK(net.module(1) == nullptr);
  net.push_back(nn::Linear(3, 1));
  CHECK(net(x).shape() == Shape{2, 1});
  CHECK(net.named_parameters().back().first == "4.bias");
  CHECK_THROWS_AS(net.call(5, x), UserError);
}

TEST_CASE("Embedding, layer norm, pooling and activation modules are their functions", "[nn]") {
  manual_seed(4);
  const Tensor x = Tensor::randn({2, 4, 4, 3});
  CHECK(nn::MaxPool2d({.kernel_size = 2})(x).to_vector() == max_pool2d(x, {.kernel_size = 2}).to_vector());
  CHECK(nn::AvgPool2d({.kernel_size = 2})(x).to_vector() == avg_pool2d(x, {.kernel_size = 2}).to_vector());
  CHECK(nn::AdaptiveAvgPool2d(1)(x).to_vector() == adaptive_avg_pool2d(x, 1).to_vector());
  CHECK(nn::GlobalAvgPool2d()(x).shape() == Shape{2, 3});
  CHECK(nn::Flatten()(x).shape() == Shape{2, 48});
  CHECK(nn::GELU({.approximate = Approximate::tanh})(x).to_vector() ==
        gelu(x, {.approximate = Approximate::tanh}).to_vector());
  CHECK(nn::SiLU()(x).to_vector() == silu(x).to_vector());
  CHECK(nn::Tanh()(x).to_vector() == tanh(x).to_vector());
  CHECK(nn::Sigmoid()(x).to_vector() == sigmoid(x).to_vector());
  CHECK(nn::Softplus()(x).to_vector() == softplus(x).to_vector());
  CHECK(nn::LeakyReLU(0.2)(x).to_vector() == leaky_relu(x, 0.2).to_vector());
  CHECK(nn::Softmax(-1)(x).to_vector() == softmax(x, -1).to_vector());
  CHECK(nn::LogSoftmax(-1)(x).to_vector() == log_softmax(x, -1).to_vector());
  nn::LayerNorm norm(3);
  CHECK(norm(x).to_vector() == layer_norm(x, norm.weight, norm.bias).to_vector());
  nn::Embedding embedding_layer(5, 2);
  const Tensor ids = Tensor::from<std::int64_t>({4, 0}, {2}, {.dtype = DType::i64});
  CHECK(embedding_layer(ids).to_vector()[2] == embedding_layer.weight.at({0, 0}));
}
