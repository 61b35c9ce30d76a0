// Keys, values and queries that a mask or causality hides: NaN or infinity there changes nothing.
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

struct Run {
  std::vector<double> y, dq, dk, dv;
  bool operator==(const Run&) const = default;
};

// [1, positions, heads, head_dim] in f64, to be converted.
struct HeadValues {
  std::int64_t positions, heads, head_dim;
  std::vector<double> q, k, v, dy;

  HeadValues(std::int64_t n, std::int64_t h, std::int64_t d) : positions(n), heads(h), head_dim(d) {
    manual_seed(11);
    for (std::vector<double>* values : {&q, &k, &v, &dy}) *values = Tensor::randn({n, h, d}).to_vector();
  }
  void set(std::vector<double>& values, std::int64_t position, double value) const {
    for (std::int64_t i = 0; i < heads * head_dim; ++i)
      values[static_cast<std::size_t>(position * heads * head_dim + i)] = value;
  }
  Run run(DType dtype, const AttentionOptions& options) const {
    const auto leaf = [&](const std::vector<double>& values) {
      return Tensor::from(values, {1, positions, heads, head_dim}, {.dtype = dtype, .requires_grad = true});
    };
    const Tensor in_q = leaf(q), in_k = leaf(k), in_v = leaf(v);
    Tape tape;
    const Tensor y = attention(in_q, in_k, in_v, options);
    tape.backward(y, {.seed = Tensor::from(dy, y.shape(), {.dtype = dtype})});
    return {y.to_vector(), in_q.grad().to_vector(), in_k.grad().to_vector(), in_v.grad().to_vector()};
  }
};

bool all_finite(const std::vector<double>& values, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i)
    if (!std::isfinite(values[i])) return false;
  return true;
}

struct Mode {
  bool plain;
  DType dtype;
};
Mode any_mode() {
  return GENERATE(Mode{false, DType::f32}, Mode{false, DType::bf16}, Mode{true, DType::f32},
                  Mode{true, DType::bf16}, Mode{true, DType::f16}, Mode{true, DType::f64});
}

// 0 where keys are seen, minus infinity where they are hidden; or booleans.
Tensor mask_of(const std::vector<bool>& seen, const Shape& shape, bool boolean, DType dtype) {
  std::vector<double> values;
  for (const bool s : seen) values.push_back(boolean ? s : s ? 0 : -kInfinity);
  const DType added = dtype == DType::f64 ? DType::f64 : DType::f32;
  return Tensor::from(values, shape, {.dtype = boolean ? DType::boolean : added});
}

}  // namespace

TEST_CASE("attention: what a masked key and its value hold changes no bit, forward and backward", "[ops]") {
  const Mode mode = any_mode();
  const bool boolean = GENERATE(true, false), causal = GENERATE(false, true);
  const double poison = GENERATE(std::nan(""), kInfinity, -kInfinity);
  INFO(to_string(mode.dtype) << (mode.plain ? ", plain" : ", fast") << (boolean ? ", boolean" : ", added")
                             << (causal ? ", causal, " : ", ") << poison);
  const PlainKernels kernels(mode.plain);
  HeadValues operands(70, 2, 20);
  std::vector<bool> seen(70, true);
  for (const std::size_t hidden : {3U, 17U, 66U}) seen[hidden] = false;
  const AttentionOptions options = {.causal = causal, .mask = mask_of(seen, {70}, boolean, mode.dtype)};
  const Run expected = operands.run(mode.dtype, options);
  for (const std::int64_t hidden : {3, 17, 66}) {
    operands.set(operands.k, hidden, poison);
    operands.set(operands.v, hidden, poison);
  }
  CHECK(operands.run(mode.dtype, options) == expected);
}

TEST_CASE("attention: a token that is not finite does not reach what comes before it", "[ops]") {
  const Mode mode = any_mode();
  const double poison = GENERATE(std::nan(""), kInfinity);
  const PlainKernels kernels(mode.plain);
  HeadValues operands(90, 2, 16);
  const Run expected = operands.run(mode.dtype, {.causal = true});
  operands.set(operands.q, 77, poison);
  operands.set(operands.k, 77, poison);
  operands.set(operands.v, 77, poison);
  const Run actual = operands.run(mode.dtype, {.causal = true});
  const auto before = static_cast<std::ptrdiff_t>(77 * 2 * 16);
  CHECK(std::equal(actual.y.begin(), actual.y.begin() + before, expected.y.begin()));
  CHECK(std::equal(actual.dq.begin(), actual.dq.begin() + before, expected.dq.begin()));
  // Later queries see the token, so all keys that they see get NaN from them: so does PyTorch.
  CHECK_FALSE(all_finite(actual.y, static_cast<std::size_t>(before), actual.y.size()));
  CHECK_FALSE(all_finite(actual.dv, 0, actual.dv.size()));
}

TEST_CASE("attention: a query that is not finite gives nothing to keys that it does not see", "[ops]") {
  const Mode mode = any_mode();
  const PlainKernels kernels(mode.plain);
  HeadValues operands(40, 1, 16);
  std::vector<bool> seen(40 * 40, true);
  for (std::size_t j = 5; j < 40; ++j) seen[9 * 40 + j] = false;  // query 9 sees the first five keys
  const AttentionOptions options = {.mask = mask_of(seen, {40, 40}, true, mode.dtype)};
  const Run expected = operands.run(mode.dtype, options);
  operands.set(operands.q, 9, std::nan(""));
  operands.set(operands.dy, 9, kInfinity);
  const Run actual = operands.run(mode.dtype, options);
  const std::ptrdiff_t first = 5 * 16;
  CHECK(std::equal(actual.dk.begin() + first, actual.dk.end(), expected.dk.begin() + first));
  CHECK(std::equal(actual.dv.begin() + first, actual.dv.end(), expected.dv.begin() + first));
  CHECK_FALSE(all_finite(actual.dv, 0, static_cast<std::size_t>(first)));
}

TEST_CASE("attention: a seen value that is infinite makes infinite what sees it", "[ops]") {
  const Mode mode = any_mode();
  const PlainKernels kernels(mode.plain);
  HeadValues operands(40, 1, 16);
  operands.set(operands.v, 20, kInfinity);
  const Run actual = operands.run(mode.dtype, {.causal = true});
  CHECK(all_finite(actual.y, 0, 20 * 16));
  for (std::size_t i = 20 * 16; i < actual.y.size(); ++i) CHECK(actual.y[i] == kInfinity);
}

TEST_CASE("attention: a query that sees no key gets 0, and gives and gets no gradient", "[ops]") {
  const Mode mode = any_mode();
  const bool boolean = GENERATE(true, false);
  const PlainKernels kernels(mode.plain);
  HeadValues operands(20, 1, 8);
  operands.set(operands.q, 6, std::nan(""));
  std::vector<bool> seen(20 * 20, true);
  for (std::size_t j = 0; j < 20; ++j) seen[6 * 20 + j] = false;
  const Run actual = operands.run(mode.dtype, {.mask = mask_of(seen, {20, 20}, boolean, mode.dtype)});
  for (std::size_t d = 0; d < 8; ++d) {
    CHECK(actual.y[6 * 8 + d] == 0);
    CHECK(actual.dq[6 * 8 + d] == 0);
  }
  for (const std::vector<double>* values : {&actual.y, &actual.dq, &actual.dk, &actual.dv})
    CHECK(all_finite(*values, 0, values->size()));
}
