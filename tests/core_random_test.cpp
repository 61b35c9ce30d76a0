// Random numbers are a function of their address.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;
using reprise::test::ThreadCount;

// Random123's kat_vectors, philox4x32 with 10 rounds.
TEST_CASE("philox gives the published words") {
  using Words = std::array<std::uint32_t, 4>;
  CHECK(philox_4x32_10({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox_4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox_4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  CHECK(philox(0x299f31d0a4093822, 0x85a308d3243f6a88) ==
        philox_4x32_10({0x243f6a88, 0x85a308d3, 0, 0}, {0xa4093822, 0x299f31d0}));
  CHECK(random_word(7, 4 * 11 + 2) == philox(7, 11)[2]);
}

TEST_CASE("the generator hands out addresses that start a block") {
  manual_seed(5);
  CHECK(next_random(1).offset == 0);
  CHECK(next_random(4).offset == 4);
  CHECK(next_random(5).offset == 8);
  CHECK(next_random(0).offset == 16);
  CHECK(random_state().seed == 5);
  CHECK(random_state().offset == 16);
  const RandomAddress saved = random_state();
  const std::vector<double> first = Tensor::randn({10}).to_vector();
  set_random_state(saved);
  CHECK(Tensor::randn({10}).to_vector() == first);
  CHECK_FALSE(Tensor::randn({10}).to_vector() == first);
}

TEST_CASE(
    "random tensors have the same bits for any thread count, and a prefix does not depend on the length") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
    for (const bool normal : {true, false}) {
      INFO(to_string(dtype) << (normal ? " randn" : " rand"));
      const auto draw = [&](std::int64_t n) {
        manual_seed(42);
        return (normal ? Tensor::randn({n}, {.dtype = dtype}) : Tensor::rand({n}, {.dtype = dtype}))
            .to_vector();
      };
      std::vector<std::vector<double>> draws;
      for (int threads : {1, 2, 3, 7}) {
        const ThreadCount count(threads);
        draws.push_back(draw(100001));
      }
      CHECK(std::all_of(draws.begin(), draws.end(), [&](const auto& values) { return values == draws[0]; }));
      const std::vector<double> shorter = draw(31);
      CHECK(std::equal(shorter.begin(), shorter.end(), draws[0].begin()));
    }
}

TEST_CASE("an element is made of the words at its place") {
  const RandomAddress start = {17, 8};
  const auto word = [&](std::size_t i) { return random_word(start.seed, start.offset + i); };
  const auto uniform = [&](std::size_t i) {  // of two words, 53 bits
    return std::ldexp(static_cast<double>(((std::uint64_t{word(2 * i)} << 32) | word(2 * i + 1)) >> 11), -53);
  };
  const auto draw = [&](bool normal, DType dtype) {
    set_random_state(start);
    return (normal ? Tensor::randn({9}, {.dtype = dtype}) : Tensor::rand({9}, {.dtype = dtype})).to_vector();
  };
  const std::vector<double> normal = draw(true, DType::f32), wide = draw(true, DType::f64);
  const std::vector<double> flat = draw(false, DType::f32), flat_wide = draw(false, DType::f64);
  for (std::size_t i = 0; i < 9; ++i) {
    const auto box_muller = [&](double u, double v) {
      const double angle = 2 * std::acos(-1.0) * v;
      return std::sqrt(-2 * std::log(u)) * (i % 2 ? std::sin(angle) : std::cos(angle));
    };
    const std::size_t pair = i / 2 * 2;
    CHECK(normal[i] ==
          Approx(box_muller(word(pair) * 0x1p-32 + 0x1p-33, word(pair + 1) * 0x1p-32)).margin(1e-6));
    CHECK(wide[i] == Approx(box_muller(uniform(pair) + 0x1p-54, uniform(pair + 1))).margin(1e-14));
    CHECK(flat[i] == std::floor(word(i) / 256.0) * 0x1p-24);
    CHECK(flat_wide[i] == uniform(i));
  }
}

TEST_CASE("normals and uniforms have their moments") {
  manual_seed(1);
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    INFO(to_string(dtype));
    constexpr std::int64_t kCount = 400000;
    const double error =
        5 / std::sqrt(static_cast<double>(kCount));  // five standard errors, more for the moments below
    const auto moment = [](const std::vector<double>& values, double mean, int power) {
      double sum = 0;
      for (double value : values) sum += std::pow(value - mean, power);
      return sum / static_cast<double>(values.size());
    };
    const std::vector<double> normal = Tensor::randn({kCount}, {.dtype = dtype}).to_vector();
    CHECK(std::abs(moment(normal, 0, 1)) < error);
    CHECK(std::abs(moment(normal, 0, 2) - 1) < error * std::sqrt(2));
    CHECK(std::abs(moment(normal, 0, 3)) < error * std::sqrt(15));
    CHECK(std::abs(moment(normal, 0, 4) - 3) < error * std::sqrt(96));
    double neighbours = 0;  // the two of a pair, and of different pairs, are uncorrelated
    for (std::size_t i = 1; i < normal.size(); ++i) neighbours += normal[i] * normal[i - 1];
    CHECK(std::abs(neighbours / kCount) < error);

    const std::vector<double> uniform = Tensor::rand({kCount}, {.dtype = dtype}).to_vector();
    const auto [low, high] = std::minmax_element(uniform.begin(), uniform.end());
    CHECK(*low >= 0);
    CHECK(*high < 1);
    CHECK(*high > 0.99);
    CHECK(std::abs(moment(uniform, 0, 1) - 0.5) <
          error * std::sqrt(1.0 / 12) + (dtype == DType::bf16 ? 0x1p-9 : 0x1p-12));
    CHECK(std::abs(moment(uniform, 0.5, 2) - 1.0 / 12) < error / 12 + 1e-4);
  }
  CHECK_THROWS_AS(Tensor::randn({3}, {.dtype = DType::i32}), UserError);
  CHECK_THROWS_AS(Tensor::rand({3}, {.dtype = DType::u8}), UserError);
}
