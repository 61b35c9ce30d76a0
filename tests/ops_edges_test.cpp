// Ops at their edges. Gradients in 16 bits are computed in f32 and rounded once. Gradients do not overflow or turn into NaN on
// the way. Quotients and casts are rounded once, and sums of integers do not wrap.
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"

using namespace reprise;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Tensor leaf(const Shape& shape, Scalar value, DType dtype) {
  return Tensor::full(shape, value, {.dtype = dtype, .requires_grad = true});
}
Tensor leaf(std::initializer_list<float> values, DType dtype = DType::f32) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())},
                      {.dtype = dtype, .requires_grad = true});
}
Tensor constant(std::initializer_list<float> values, DType dtype = DType::f32) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, {.dtype = dtype});
}

// The gradient of y for x, beginning with `seed`, as it reaches x.
std::vector<double> gradient(const std::function<Tensor(Tensor)>& f, const Tensor& x, Tensor seed = {}) {
  Tape tape;
  const Tensor y = f(x);
  tape.backward(y, {.seed = std::move(seed)});
  return x.grad().to_vector();
}

}  // namespace

TEST_CASE("mse_loss: gradients in 16 bits are those of f32, for many elements and for large differences",
          "[ops]") {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const std::int64_t n = 200'000;
    const Tensor a = leaf({n}, 100, dtype), b = leaf({n}, 0, dtype);
    {
      Tape tape;
      tape.backward(mse_loss(a, b));
    }
    const auto exact = static_cast<float>(2.0 * 100 / static_cast<double>(n));
    CHECK(a.grad().at({7}) == Approx(exact).epsilon(1e-6));
    CHECK(b.grad().at({7}) == Approx(-exact).epsilon(1e-6));
  }
  // The difference is beyond f16, but neither the loss nor the gradient is.
  const Tensor a = leaf({1}, 60000, DType::f16), b = Tensor::full({1}, -60000, {.dtype = DType::f16});
  CHECK(gradient([&](Tensor x) { return mse_loss(std::move(x), b) * 1e-9; }, a)[0] == Approx(2.4e-4));
}

TEST_CASE("binary_cross_entropy_with_logits: gradients in 16 bits keep the digits of 1 - sigmoid", "[ops]") {
  for (const DType dtype : {DType::f16, DType::bf16})
    for (const double logit : {-12.0, -8.0, 0.5, 6.5, 8.0, 12.0})
      for (const double target : {0.0, 1.0}) {
        INFO(to_string(dtype) << " logit " << logit << " target " << target);
        const Tensor x = leaf({4}, logit, dtype), t = leaf({4}, target, dtype);
        {
          Tape tape;
          tape.backward(binary_cross_entropy_with_logits(x, t));
        }
        CHECK(x.grad().at({0}) == Approx((1 / (1 + std::exp(-logit)) - target) / 4).epsilon(0.01));
        CHECK(t.grad().at({0}) == Approx(-logit / 4).epsilon(1e-6));
      }
}

TEST_CASE("max and min: the gradients of any number of ties sum to the gradient, in 16 bits too", "[ops]") {
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32})
    for (const std::int64_t ties : {257, 2049, 70'000})
      for (const bool whole : {true, false}) {
        INFO(to_string(dtype) << " " << ties << " ties" << (whole ? "" : ", by row"));
        const Tensor x = leaf({2, ties}, 1, dtype);
        const double rows = whole ? 1 : 2;
        for (const auto& extreme : {max, min}) {
          x.set_grad({});
          Tape tape;
          const Tensor y = whole ? extreme(x, {0, 1}, {}) : extreme(x, {1}, {});
          tape.backward(sum(y.to(DType::f32)));
          CHECK(sum(x.grad().to(DType::f64)).item() == Approx(rows).epsilon(1e-5));
        }
      }
}

TEST_CASE("max: a NaN result sends its gradient to the NaNs, an infinite gradient only to its element",
          "[ops]") {
  CHECK(gradient([](Tensor x) { return max(std::move(x), 0); }, leaf({1, kNan, 3, kNan})) ==
        std::vector<double>{0, 0.5, 0, 0.5});
  CHECK(gradient([](Tensor x) { return max(std::move(x), 0); }, leaf({1, 3, 2}), Tensor::full({}, kInf)) ==
        std::vector<double>{0, kInf, 0});
}

TEST_CASE("maximum and minimum: NaN gives both operands the gradient, an infinite gradient stays with one",
          "[ops]") {
  const auto gradients = [](auto op, float a, float b, float g) {
    const Tensor x = leaf({a}), y = leaf({b});
    Tape tape;
    tape.backward(op(x, y), {.seed = Tensor::full({1}, g)});
    return std::vector<double>{x.grad().item(), y.grad().item()};
  };
  using Pair = std::vector<double>;
  CHECK(gradients(maximum, kNan, 1, 2) == Pair{2, 2});
  CHECK(gradients(maximum, 1, kNan, 2) == Pair{2, 2});
  CHECK(gradients(minimum, kNan, kNan, 2) == Pair{2, 2});
  CHECK(gradients(maximum, 3, 1, kInf) == Pair{kInf, 0});
  CHECK(gradients(minimum, 3, 1, kInf) == Pair{0, kInf});
  CHECK(gradients(maximum, 1, 1, 2) == Pair{1, 1});
}

TEST_CASE("div: the gradient of the divisor does not overflow on the way", "[ops]") {
  const auto of_divisor = [](float a, float b, float g, DType dtype) {
    const Tensor divisor = leaf({b}, dtype);
    return gradient([&](Tensor x) { return constant({a}, dtype) / std::move(x); }, divisor,
                    constant({g}, dtype))[0];
  };
  CHECK(of_divisor(0.001F, 0.01F, 1024, DType::f16) == Approx(-10240).epsilon(2e-3));
  CHECK(of_divisor(0, 0.01F, 1024, DType::f16) == 0);
  CHECK(of_divisor(0, 1e-38F, 10, DType::f32) == 0);
  CHECK(gradient([](Tensor x) { return 0.001 / std::move(x); }, leaf({0.01F}, DType::f16),
                 constant({1024}, DType::f16))[0] == Approx(-10240).epsilon(2e-3));
}

TEST_CASE("sqrt, pow and softplus: gradients do not overflow or vanish on the way", "[ops]") {
  CHECK(gradient([](Tensor x) { return sqrt(std::move(x)); }, leaf({0x1p-24F}, DType::f16),
                 constant({20}, DType::f16))[0] == Approx(40960));
  CHECK(gradient([](Tensor x) { return sqrt(std::move(x)); }, leaf({0.786F}), constant({-3.4e38F}))[0] ==
        Approx(-1.9175e38).epsilon(1e-3));
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
    CHECK(gradient([](Tensor x) { return pow(std::move(x), 0); }, leaf({2}, dtype),
                   constant({kInf}, dtype))[0] == 0);
  CHECK(gradient([](Tensor x) { return pow(std::move(x), 2); }, leaf({40000}, DType::f16),
                 constant({0x1p-10F}, DType::f16))[0] == Approx(78.125));
  CHECK(gradient([](Tensor x) { return softplus(std::move(x)); }, leaf({-17}, DType::f16),
                 constant({32768}, DType::f16))[0] == Approx(32768 * std::exp(-17.0)).epsilon(1e-3));
}

TEST_CASE("mul and matmul: products that a broadcast sums are not rounded to 16 bits before", "[ops]") {
  const std::int64_t n = 4096;
  const Tensor scale = leaf({1}, 1, DType::f16), x = Tensor::full({n}, 0x1p-14, {.dtype = DType::f16});
  const std::vector<double> sum_of_small = gradient([&](Tensor s) { return x * std::move(s); }, scale,
                                                    Tensor::full({n}, 0x1p-12, {.dtype = DType::f16}));
  CHECK(sum_of_small[0] == 4096 * 0x1p-26);  // each product is below f16's smallest number
  const Tensor a = leaf({1, 1, 1}, 1, DType::f16),
               b = Tensor::full({n, 1, 1}, 0x1p-14, {.dtype = DType::f16});
  CHECK(gradient([&](Tensor v) { return matmul(std::move(v), b); }, a,
                 Tensor::full({n, 1, 1}, 0x1p-12, {.dtype = DType::f16}))[0] == 4096 * 0x1p-26);
}

TEST_CASE("x / number is the correctly rounded quotient, and that of div", "[ops]") {
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-100, 100);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = Tensor::arange(200, {.dtype = dtype}) - 100.0;
    for (int i = 0; i < 50; ++i) {
      const double number = dtype == DType::f32 ? static_cast<float>(uniform(random)) : uniform(random);
      CHECK((x / number).to_vector() == div(x, Tensor::full({}, number, {.dtype = dtype})).to_vector());
    }
    CHECK((Tensor::full({1}, 49, {.dtype = dtype}) / 49.0).item() == 1);
    CHECK((Tensor::full({1}, 41, {.dtype = dtype}) / 41.0).item() == 1);
  }
  CHECK((Tensor::zeros({1}) / 1e-40).item() == 0);  // 1 / 1e-40 is beyond f32
  CHECK((Tensor::full({1}, 1e-40) / 1e-40).item() == 1);
  CHECK((Tensor::full({1}, 3, {.dtype = DType::f16}) / 3.0).item() == 1);
  const Tensor y = leaf({49});
  CHECK(gradient([](Tensor v) { return std::move(v) / 49.0; }, y, constant({49}))[0] == 1);
}

TEST_CASE("sums of integers and booleans are i64 and do not wrap", "[ops]") {
  const Tensor large = Tensor::full({3}, 2'000'000'000, {.dtype = DType::i32});
  CHECK(sum(large).dtype() == DType::i64);
  CHECK(sum(large).item<std::int64_t>() == 6'000'000'000);
  CHECK(sum(Tensor::full({2, 300}, 255, {.dtype = DType::u8}), 1).to_vector() ==
        std::vector<double>{76500, 76500});
  const Tensor bits = greater(Tensor::arange(1000), 249.5);
  CHECK(sum(bits).dtype() == DType::i64);
  CHECK(sum(bits).item<std::int64_t>() == 750);
  CHECK(sum_to(bits.reshape({10, 100}), {10, 1}).to_vector() ==
        std::vector<double>{0, 0, 50, 100, 100, 100, 100, 100, 100, 100});
  CHECK(sum(Tensor::zeros({0}, {.dtype = DType::boolean})).item<std::int64_t>() == 0);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  CHECK(sum(Tensor::from<std::int64_t>({kMost, kMost, -kMost}, {3})).item<std::int64_t>() == kMost);
  CHECK_THROWS_WITH(sum(Tensor::from<std::int64_t>({kMost, 1}, {2})), Catch::Contains("beyond i64"));
  CHECK_THROWS_WITH(mean(large),
                    Catch::Contains("mean") && Catch::Contains("i32") && Catch::Contains("to(DType::f32)"));
  CHECK_THROWS_AS(mean(bits), UserError);
}

TEST_CASE("matmul's backward takes empty operands with a batch that the other repeats along", "[ops]") {
  const Tensor a = leaf({1, 3, 4}, 1, DType::f32), b = leaf({2, 4, 0}, 1, DType::f32);
  {
    Tape tape;
    tape.backward(sum(matmul(a, b)));
  }
  CHECK(a.grad().to_vector() == std::vector<double>(12, 0.0));
  CHECK(b.grad().shape() == Shape{2, 4, 0});
  for (const auto& [left, right] : std::vector<std::pair<Shape, Shape>>{{{2, 3, 4}, {4, 0}},
                                                                        {{2, 0, 4}, {4, 5}},
                                                                        {{0, 3, 4}, {4, 5}},
                                                                        {{3, 0}, {0, 5}},
                                                                        {{2, 3, 0}, {1, 0, 5}}}) {
    INFO(to_string(left) << " " << to_string(right));
    const Tensor x = leaf(left, 1, DType::f32), y = leaf(right, 1, DType::f32);
    Tape tape;
    tape.backward(sum(matmul(x, y)));
    CHECK(x.grad().to_vector() == std::vector<double>(static_cast<std::size_t>(left.numel()), 0.0));
    CHECK(y.grad().to_vector() == std::vector<double>(static_cast<std::size_t>(right.numel()), 0.0));
  }
}

TEST_CASE("a cast from f64, i32 or i64 to 16 bits rounds once", "[ops]") {
  const auto cast_of = [](double value, DType to) {
    return Tensor::full({1}, value, {.dtype = DType::f64}).to(to).item();
  };
  CHECK(cast_of(1 + 0x1p-8 + 0x1p-40, DType::bf16) == 1 + 0x1p-7);
  CHECK(cast_of(1 + 0x1p-8 - 0x1p-40, DType::bf16) == 1);
  CHECK(cast_of(-1 - 0x1p-8 - 0x1p-40, DType::bf16) == -1 - 0x1p-7);
  CHECK(cast_of(1 + 0x1p-11 + 0x1p-40, DType::f16) == 1 + 0x1p-10);
  CHECK(cast_of(1 + 0x1p-11 - 0x1p-40, DType::f16) == 1);
  CHECK(cast_of(0x1p-25 + 0x1p-70, DType::f16) == 0x1p-24);  // subnormal
  CHECK(cast_of(0x1p-25, DType::f16) == 0);                  // a tie: to even
  CHECK(cast_of(65519.999999999, DType::f16) == 65504);
  CHECK(std::isinf(cast_of(65520, DType::f16)));
  CHECK(std::isinf(cast_of(1e300, DType::bf16)));
  CHECK(std::isnan(cast_of(kNan, DType::bf16)));
  CHECK(cast_of(5e-324, DType::bf16) == 0);
  CHECK(std::signbit(cast_of(-5e-324, DType::bf16)));
  const auto of_integer = [](std::int64_t value, DType from, DType to) {
    return Tensor::full({1}, value, {.dtype = from}).to(to).item();
  };
  const std::int64_t tie = (std::int64_t{1} << 40) + (std::int64_t{1} << 32);
  CHECK(of_integer(tie, DType::i64, DType::bf16) == 0x1p40);
  CHECK(of_integer(tie + 1, DType::i64, DType::bf16) == 0x1p40 + 0x1p33);
  CHECK(of_integer((1 << 30) + (1 << 22) + 1, DType::i32, DType::bf16) == 0x1p30 + 0x1p23);
  CHECK(of_integer(std::numeric_limits<std::int64_t>::max(), DType::i64, DType::bf16) == 0x1p63);
  CHECK(of_integer(-65519, DType::i32, DType::f16) == -65504);
}

TEST_CASE("cat and stack take their parts by value, as a list or one by one", "[ops]") {
  Tensor a = Tensor::ones({2, 1}), b = Tensor::zeros({2, 2});
  CHECK(cat({a, b}, 1).to_vector() == std::vector<double>{1, 0, 0, 1, 0, 0});
  CHECK(cat(1, a, b).to_vector() == cat({a, b}, 1).to_vector());
  CHECK(stack({a, a}, 0).shape() == Shape{2, 2, 1});
  CHECK(stack(-1, a, a).shape() == Shape{2, 1, 2});
  const std::size_t before = memory::live(Device::cpu());
  const auto live_while_used = [&](const Tensor&) { return memory::live(Device::cpu()); };
  const std::size_t live = live_while_used(cat(1, Tensor::ones({1000, 1}), Tensor::ones({1000, 2})));
  CHECK(live - before == 3 * 4000);  // the parts are gone while the result is used
}
