// Initial values are PyTorch's default distributions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"

using namespace reprise;

namespace {

// Kolmogorov and Smirnov's distance between the sample and a distribution function, times sqrt(n): above 1.95 has
// probability 0.001 (and the seed is fixed).
template <class Cdf>
double distance(std::vector<double> sample, Cdf cdf) {
  std::sort(sample.begin(), sample.end());
  const double n = static_cast<double>(sample.size());
  double largest = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double p = cdf(sample[i]), rank = static_cast<double>(i);
    largest = std::max({largest, std::abs(p - rank / n), std::abs(p - (rank + 1) / n)});
  }
  return largest * std::sqrt(n);
}

void check_uniform(const Tensor& tensor, double bound) {
  const std::vector<double> sample = tensor.to_vector();
  const auto [low, high] = std::minmax_element(sample.begin(), sample.end());
  CHECK(*low >= -bound * (1 + 1e-6));
  CHECK(*high <= bound * (1 + 1e-6));
  CHECK(distance(sample, [bound](double x) { return (x + bound) / (2 * bound); }) < 1.95);
}

void check_normal(const Tensor& tensor, double mean, double deviation) {
  CHECK(distance(tensor.to_vector(), [=](double x) {
          return 0.5 * std::erfc(-(x - mean) / (deviation * std::sqrt(2.0)));
        }) < 1.95);
}

}  // namespace

TEST_CASE("Linear and Conv2d begin as U(-1/sqrt(fan in), 1/sqrt(fan in)), weights and biases", "[nn]") {
  manual_seed(17);
  const nn::Linear linear(100, 400);
  check_uniform(linear.weight, 0.1);
  check_uniform(linear.bias, 0.1);
  const nn::Conv2d conv(16, 300, {.kernel_size = {3, 5}, .groups = 4});
  CHECK(conv.weight.shape() == Shape{300, 3, 5, 4});
  check_uniform(conv.weight, 1.0 / std::sqrt(60.0));
  check_uniform(conv.bias, 1.0 / std::sqrt(60.0));
}

TEST_CASE("Embedding begins as N(0, 1), norms as 1 and 0", "[nn]") {
  manual_seed(18);
  check_normal(nn::Embedding(100, 50).weight, 0.0, 1.0);
  const nn::BatchNorm2d norm(3);
  CHECK(norm.weight.to_vector() == std::vector<double>(3, 1.0));
  CHECK(norm.bias.to_vector() == std::vector<double>(3, 0.0));
  CHECK(norm.running_mean.to_vector() == std::vector<double>(3, 0.0));
  CHECK(norm.running_var.to_vector() == std::vector<double>(3, 1.0));
  CHECK_FALSE(norm.running_var.requires_grad());
  const nn::LayerNorm layer(3);
  CHECK(layer.weight.to_vector() == std::vector<double>(3, 1.0));
  CHECK(layer.bias.to_vector() == std::vector<double>(3, 0.0));
}

TEST_CASE("The named initialisations have their distributions", "[nn]") {
  manual_seed(19);
  const Shape shape = {50, 3, 3, 20};  // fan in 180, fan out 450
  CHECK(nn::init::fan(shape).in == 180);
  CHECK(nn::init::fan(shape).out == 450);
  check_uniform(nn::init::kaiming_uniform(shape), std::sqrt(6.0 / 180));
  check_normal(nn::init::kaiming_normal(shape), 0.0, std::sqrt(2.0 / 180));
  check_uniform(nn::init::xavier_uniform(shape, 2.0), 2.0 * std::sqrt(6.0 / 630));
  check_normal(nn::init::xavier_normal(shape), 0.0, std::sqrt(2.0 / 630));
  check_normal(nn::init::normal(shape, 3.0, 0.02), 3.0, 0.02);
  CHECK_THROWS_AS(nn::init::fan({3}), UserError);
}

TEST_CASE("The same seed makes the same module; parameters are leaves that require a gradient", "[nn]") {
  manual_seed(20);
  const nn::Linear a(4, 4);
  manual_seed(20);
  const nn::Linear b(4, 4);
  CHECK(a.weight.to_vector() == b.weight.to_vector());
  CHECK(a.bias.to_vector() == b.bias.to_vector());
  CHECK((a.weight.is_leaf() && a.weight.requires_grad() && a.bias.requires_grad()));
  CHECK(a.weight.to_vector()[0] != a.bias.to_vector()[0]);
}

TEST_CASE("A module is made in a dry run without touching memory or the generator", "[nn]") {
  const RandomAddress before = random_state();
  {
    const DryRun dry_run;
    nn::Linear huge(1 << 20, 1 << 20);
    CHECK(huge.parameter_count() == (std::int64_t{1} << 40) + (1 << 20));
  }
  CHECK(random_state().offset == before.offset);
}

TEST_CASE("Layers of no extent and groups that do not divide are refused", "[nn]") {
  CHECK_THROWS_AS(nn::Linear(0, 3), UserError);
  CHECK_THROWS_AS(nn::Conv2d(3, 4, {.kernel_size = 3, .groups = 2}), UserError);
  CHECK_THROWS_AS(nn::Dropout(1.5), UserError);
  CHECK_THROWS_AS(nn::BatchNorm2d(0), UserError);
}
