// Transformer layers against PyTorch's (golden/nn.py), and as regions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/golden/nn.h"

using namespace reprise;
using Catch::Contains;

namespace {

template <std::size_t N>
Tensor f64(const double (&values)[N], const Shape& shape) {
  return Tensor::from<double>(std::span<const double>(values), shape, {.dtype = DType::f64});
}

template <std::size_t N>
void check_close(const Tensor& tensor, const double (&expected)[N]) {
  const std::vector<double> values = tensor.to_vector();
  REQUIRE(values.size() == N);
  for (std::size_t i = 0; i < N; ++i) CHECK(values[i] == Approx(expected[i]).epsilon(1e-10).margin(1e-10));
}

// Takes over PyTorch's parameters, which lie one after the other in the order of their names.
template <std::size_t N>
void set_parameters(nn::Module& module, const double (&values)[N]) {
  module.to(DType::f64);
  std::vector<std::pair<std::string, Tensor>> named = module.named_parameters();
  std::sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const double* next = values;
  for (const std::pair<std::string, Tensor>& entry : named) {
    const std::span<double> to = entry.second.write<double>();
    std::copy(next, next + to.size(), to.begin());
    next += to.size();
  }
  REQUIRE(next == values + N);
}

// 1, 2, ... along the sequence: what golden/nn.py begins backward with.
Tensor seed(const Tensor& y) {
  return Tensor::ones(y.shape(), {.dtype = DType::f64}) *
         (Tensor::arange(y.size(1), {.dtype = DType::f64}) + 1.0).reshape({1, y.size(1), 1});
}

Tensor leaf(Tensor x) {
  x.set_requires_grad(true);
  return x;
}

}  // namespace

TEST_CASE("nn: an encoder layer is PyTorch's", "[nn]") {
  nn::TransformerEncoderLayer layer(4, 2,
                                    {.feedforward = 5, .dropout = 0.0, .activation = nn::Activation::gelu});
  set_parameters(layer, golden::kEncoderParameters);
  const Tensor x = leaf(f64(golden::kEncoderInput0, {2, 3, 4}));
  Tape tape;
  const Tensor y = layer(x);
  check_close(y, golden::kEncoderOutput);
  tape.backward(y, {.seed = seed(y)});
  check_close(x.grad(), golden::kEncoderGradient0);
}

TEST_CASE("nn: an encoder layer that normalizes first, causal, is PyTorch's", "[nn]") {
  nn::TransformerEncoderLayer layer(4, 2, {.feedforward = 5, .dropout = 0.0, .norm_first = true});
  set_parameters(layer, golden::kEncoderNormFirstParameters);
  const Tensor x = leaf(f64(golden::kEncoderNormFirstInput0, {2, 3, 4}));
  Tape tape;
  const Tensor y = layer(x, {.causal = true});
  check_close(y, golden::kEncoderNormFirstOutput);
  tape.backward(y, {.seed = seed(y)});
  check_close(x.grad(), golden::kEncoderNormFirstGradient0);
}

TEST_CASE("nn: a decoder layer is PyTorch's, gradient of the memory included", "[nn]") {
  nn::TransformerDecoderLayer layer(4, 2, {.feedforward = 5, .dropout = 0.0});
  set_parameters(layer, golden::kDecoderParameters);
  const Tensor x = leaf(f64(golden::kDecoderInput0, {2, 3, 4}));
  const Tensor memory = leaf(f64(golden::kDecoderInput1, {2, 4, 4}));
  Tape tape;
  const Tensor y = layer(x, memory);
  check_close(y, golden::kDecoderOutput);
  tape.backward(y, {.seed = seed(y)});
  check_close(x.grad(), golden::kDecoderGradient0);
  check_close(memory.grad(), golden::kDecoderGradient1);
}

TEST_CASE("nn: RMSNorm is PyTorch's, and its weight stays f32", "[nn]") {
  nn::RMSNorm norm(4, {.eps = 1e-4});
  set_parameters(norm, golden::kRMSNormParameters);
  const Tensor x = leaf(f64(golden::kRMSNormInput0, {2, 3, 4}));
  Tape tape;
  const Tensor y = norm(x);
  check_close(y, golden::kRMSNormOutput);
  tape.backward(y, {.seed = seed(y)});
  check_close(x.grad(), golden::kRMSNormGradient0);

  nn::RMSNorm half(4);
  half.to(DType::bf16);
  CHECK(half.weight.dtype() == DType::f32);
}

TEST_CASE("nn: Transformer layers as regions keep every bit, dropout included", "[nn]") {
  manual_seed(1);
  nn::TransformerEncoderLayer encoder(12, 3, {.feedforward = 20, .dropout = 0.3});
  nn::TransformerDecoderLayer decoder(12, 3, {.feedforward = 20, .dropout = 0.3, .norm_first = true});
  const Tensor x = Tensor::randn({2, 5, 12});
  const auto gradients = [&](const checkpoint::Policy& policy, bool replayed) {
    manual_seed(2);
    for (nn::Block* block : {static_cast<nn::Block*>(&encoder), static_cast<nn::Block*>(&decoder)}) {
      nn::enable_checkpointing(*block, policy);
      for (const Tensor& parameter : block->parameters()) parameter.set_grad({});
    }
    Tape tape;
    const Tensor memory = encoder(x);
    const Tensor y = decoder(x, memory);
    tape.backward(sum(y * y));
    CHECK((tape.replays() > 0) == replayed);
    std::vector<std::vector<double>> list;
    for (nn::Block* block : {static_cast<nn::Block*>(&encoder), static_cast<nn::Block*>(&decoder)})
      for (const Tensor& parameter : block->parameters()) list.push_back(parameter.grad().to_vector());
    return list;
  };
  CHECK(gradients(checkpoint::Policy::full(), true) == gradients(checkpoint::Policy::none(), false));
}

TEST_CASE("nn: heads that do not divide the width are refused", "[nn]") {
  CHECK_THROWS_WITH(nn::MultiheadAttention(10, 3), Contains("MultiheadAttention(10, 3)"));
}
