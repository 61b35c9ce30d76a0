// Activations and losses on values far from 0, up to infinity: fast and plain kernels, their gradients and the gradients
// of those.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "reprise/autograd/tape.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;
using namespace reprise::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<double> kFar = {89, 1e3, 1e4, 3e4, 1e6, 1e10, 1e20, 1e30, 3e38, kInfinity};

struct Mode {
  bool plain;
  DType dtype;
};
Mode any_mode() {
  return GENERATE(Mode{false, DType::f32}, Mode{false, DType::bf16}, Mode{true, DType::f32},
                  Mode{true, DType::bf16}, Mode{true, DType::f16}, Mode{true, DType::f64});
}

using Function = Tensor (*)(Tensor);
struct NamedFunction {
  const char* name;
  Function function;
  double levels_off = 89;
};
std::vector<NamedFunction> gates() {
  return {{"silu", silu, 1e3},
          {"gelu", [](Tensor x) { return gelu(std::move(x)); }},
          {"gelu by tanh", [](Tensor x) { return gelu(std::move(x), {.approximate = Approximate::tanh}); }}};
}

Tensor leaf(const std::vector<double>& values, const Shape& shape, DType dtype) {
  return Tensor::from(values, shape, {.dtype = dtype, .requires_grad = true});
}

}  // namespace

TEST_CASE("far from 0, gates are 0 or the identity, with derivatives 0 or 1 and then 0", "[ops]") {
  const Mode mode = any_mode();
  const PlainKernels kernels(mode.plain);
  for (const NamedFunction& gate : gates())
    for (const double sign : {-1.0, 1.0})
      for (const double far : kFar) {
        if (far < gate.levels_off) continue;
        INFO(gate.name << " of " << sign * far << ", " << to_string(mode.dtype)
                       << (mode.plain ? ", plain" : ", fast"));
        const Tensor x = leaf(std::vector<double>(17, sign * far), {17}, mode.dtype);
        const double as_stored = x.to_vector()[0];
        Tape tape;
        const Tensor y = gate.function(x);
        CHECK(y.to_vector() == std::vector<double>(17, sign > 0 ? as_stored : 0));
        const bool twice = mode.dtype == DType::f32 || mode.dtype == DType::f64;
        const auto first = tape.gradients(sum(y), {x}, {.create_graph = twice});
        CHECK(first[0].to_vector() == std::vector<double>(17, sign > 0 ? 1 : 0));
        if (twice) CHECK(tape.gradients(sum(first[0]), {x})[0].to_vector() == std::vector<double>(17, 0.0));
      }
}

TEST_CASE("far from 0, gated units are 0 or the product, and so are their gradients", "[ops]") {
  const Mode mode = any_mode();
  const PlainKernels kernels(mode.plain);
  const std::vector<NamedFunction> units = {
      {"swiglu", swiglu},
      {"geglu", [](Tensor x) { return geglu(std::move(x)); }},
      {"geglu by tanh", [](Tensor x) { return geglu(std::move(x), {.approximate = Approximate::tanh}); }}};
  for (const NamedFunction& unit : units)
    for (const double far : {1e4, 6e4, kInfinity}) {
      INFO(unit.name << " with a gate of -" << far << ", " << to_string(mode.dtype));
      const Tensor x = leaf({6e4, -far}, {1, 2}, mode.dtype);
      Tape tape;
      const Tensor y = unit.function(x);
      CHECK(y.to_vector()[0] == 0);
      CHECK(tape.gradients(sum(y), {x})[0].to_vector() == std::vector<double>{0, 0});
    }
}

TEST_CASE("tanh, erf and sigmoid never pass 1, and NaN stays", "[ops]") {
  const Mode mode = any_mode();
  const PlainKernels kernels(mode.plain);
  std::vector<double> values;
  for (double x = 0; x < 100; x += 0.01) values.insert(values.end(), {x, -x});
  values.insert(values.end(), kFar.begin(), kFar.end());
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor x = leaf(values, {count}, mode.dtype);
  Tape tape;
  for (const double y : tanh(x).to_vector()) CHECK(std::abs(y) <= 1);
  for (const double y : sigmoid(x).to_vector()) CHECK((y >= 0 && y <= 1));
  for (const double dx : tape.gradients(sum(tanh(x)), {x})[0].to_vector()) CHECK(dx >= 0);
  // x - gelu(x) = x (1 - erf(x / sqrt 2)) / 2 has the sign of x.
  const std::vector<double> at = x.to_vector(), gated = gelu(x).to_vector();
  for (std::size_t i = 0; i < at.size(); ++i)
    if (std::isfinite(at[i])) CHECK((at[i] >= 0 ? gated[i] >= 0 && gated[i] <= at[i] : gated[i] <= 0));
  const Tensor nan = Tensor::full({9}, std::nan(""), {.dtype = mode.dtype});
  for (const Tensor& y : {tanh(nan), sigmoid(nan), silu(nan), gelu(nan),
                          gelu(nan, {.approximate = Approximate::tanh}), softplus(nan)})
    for (const double value : y.to_vector()) CHECK(std::isnan(value));
}

TEST_CASE("the second derivative of gelu by tanh keeps its digits where tanh is near 1", "[ops]") {
  const PlainKernels kernels(GENERATE(false, true));
  const std::vector<double> at = {2, 3, 4, 5, 6, -3, -5, 8, 50, 1000};
  const auto second = [&](DType dtype) {
    const Tensor x = leaf(at, {10}, dtype);
    Tape tape;
    const Tensor y = gelu(x, {.approximate = Approximate::tanh});
    const auto first = tape.gradients(sum(y), {x}, {.create_graph = true});
    return tape.gradients(sum(first[0]), {x})[0].to_vector();
  };
  const std::vector<double> exact = second(DType::f64), actual = second(DType::f32);
  for (std::size_t i = 0; i < at.size(); ++i) {
    INFO("at " << at[i]);
    CHECK(actual[i] == Approx(exact[i]).epsilon(1e-4).margin(1e-30));
  }
}

TEST_CASE("cross entropy's gradient does not depend on the size of the logits", "[ops]") {
  const Mode mode = any_mode();
  const PlainKernels kernels(mode.plain);
  const bool with_linear = GENERATE(false, true);
  // Sizes at which the dtype keeps the differences of the logits.
  const double size = mode.dtype == DType::f64 ? 1e12 : mode.dtype == DType::f32 ? 1e6 : 128;
  const auto gradient = [&](double shift) {
    const std::vector<double> logits = {shift, shift + 1, shift - 1};
    const Tensor targets = Tensor::zeros({1}, {.dtype = DType::i64});
    const Tensor x = leaf(with_linear ? std::vector<double>{1} : logits,
                          with_linear ? Shape{1, 1} : Shape{1, 3}, mode.dtype);
    const Tensor w = leaf(logits, {3, 1}, mode.dtype);
    Tape tape;
    tape.backward(with_linear ? linear_cross_entropy(x, w, targets) : cross_entropy(x, targets));
    return (with_linear ? w : x).grad().to_vector();
  };
  INFO(to_string(mode.dtype) << (mode.plain ? ", plain" : ", fast") << (with_linear ? ", linear" : ""));
  const std::vector<double> near = gradient(0), far = gradient(size);
  const double tolerance = mode.dtype == DType::f64 ? 1e-12 : mode.dtype == DType::f32 ? 1e-6 : 4e-3;
  for (std::size_t i = 0; i < near.size(); ++i) CHECK(far[i] == Approx(near[i]).epsilon(tolerance));
}

TEST_CASE("sums of f32 and bf16 add in double, along every dimension", "[ops]") {
  const PlainKernels kernels(GENERATE(false, true));
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  std::vector<double> column(600, 0.0);
  column[0] = 1e8;
  column[8] = 1;
  column[300] = 1;
  column[599] = -column[0];
  // [600, 7]: the same column seven times, and its transpose.
  std::vector<double> rows, columns;
  for (const double x : column) rows.insert(rows.end(), 7, x);
  for (int i = 0; i < 7; ++i) columns.insert(columns.end(), column.begin(), column.end());
  const auto tensor = [&](const std::vector<double>& values, const Shape& shape) {
    return Tensor::from(values, shape, {.dtype = dtype});
  };
  CHECK(sum(tensor(column, {600})).item() == 2);
  CHECK(sum(tensor(rows, {600, 7}), {0}).to_vector() == std::vector<double>(7, 2.0));
  CHECK(sum(tensor(columns, {7, 600}), {1}).to_vector() == std::vector<double>(7, 2.0));
  CHECK(sum(tensor(columns, {7, 100, 6}), {1, 2}).to_vector() == std::vector<double>(7, 2.0));
  CHECK(sum(tensor(std::vector<double>{3e38, 3e38, -3e38, -3e38}, {4})).item() == 0);
}

TEST_CASE("max_pool2d refuses images without pixels", "[ops]") {
  const DType dtype = GENERATE(DType::f32, DType::f64, DType::bf16, DType::f16);
  const Pool2dOptions options = {.kernel_size = 2, .stride = 2, .padding = 1};
  for (const Shape& shape : {Shape{1, 0, 4, 16}, Shape{2, 4, 0, 3}, Shape{1, 0, 0, 1}}) {
    CHECK_THROWS_WITH(max_pool2d(Tensor::zeros(shape, {.dtype = dtype}), options),
                      Catch::Contains("max_pool2d: x " + to_string(shape) + " has no pixels"));
    CHECK_THROWS_AS(max_pool2d_relu(Tensor::zeros(shape, {.dtype = dtype}), options), UserError);
    CHECK_NOTHROW(avg_pool2d(Tensor::zeros(shape, {.dtype = dtype}), options));
  }
  CHECK(max_pool2d(Tensor::zeros({0, 4, 4, 3}, {.dtype = dtype}), options).numel() == 0);
}
