// What the op cases cannot say: messages, ties, special values, views and their storage, memory of an expression.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "reprise/autograd/tape.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using Catch::Matchers::Message;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor vector(std::initializer_list<double> values, TensorOptions options = {.dtype = DType::f64}) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, options);
}

// The gradients of sum(y) for two inputs.
template <class F>
std::array<std::vector<double>, 2> gradients_of(F function, Tensor a, Tensor b) {
  a.set_requires_grad(true);
  b.set_requires_grad(true);
  Tape tape;
  auto [ga, gb] = tape.gradients(sum(function(a, b)), {a, b});
  return {ga.to_vector(), gb.to_vector()};
}

}  // namespace

TEST_CASE("ops name themselves, both operands and what to do in their errors", "[ops]") {
  const Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4});
  const Tensor d = Tensor::zeros({2, 3}, {.dtype = DType::f64}),
               i = Tensor::zeros({2, 3}, {.dtype = DType::i64});
  CHECK_THROWS_MATCHES(a + b, UserError, Message("add: shapes [2, 3] and [4] do not broadcast"));
  CHECK_THROWS_MATCHES(a * d, UserError,
                       Message("mul: dtypes f32 and f64 differ: convert one with .to(DType)"));
  CHECK_THROWS_MATCHES(exp(i), UserError,
                       Message("exp: dtype i64 is not one it computes in: convert with .to(DType::f32)"));
  CHECK_THROWS_MATCHES(i / i, UserError,
                       Message("div: dtype i64 is not one it computes in: convert with .to(DType::f32)"));
  CHECK_THROWS_MATCHES(
      i + 0.5, UserError,
      Message("add_scalar: 0.5 is no whole number but the tensor is i64: convert with .to(DType::f32)"));
  CHECK_THROWS_MATCHES(
      where(i, a, a), UserError,
      Message("where: the condition is i64, not bool: compare, or convert with .to(DType::boolean)"));
  CHECK_THROWS_MATCHES(clamp(a, 2, 1), UserError, Message("clamp: min 2 is above max 1"));
  CHECK_THROWS_MATCHES(a.reshape({4, 2}), UserError,
                       Message("reshape: the 6 elements of [2, 3] do not fit into [4, 2]"));
  CHECK_THROWS_MATCHES(a.reshape({4, -1}), UserError,
                       Message("reshape: the 6 elements of [2, 3] do not fit into [4, -1]"));
  CHECK_THROWS_AS(a.reshape({-1, -1}), UserError);
  CHECK_THROWS_AS(Tensor::zeros({2, -1}), UserError);
  CHECK_THROWS_MATCHES(a.slice(1, 4), UserError,
                       Message("slice: [1, 4) does not lie in the leading dimension of [2, 3]"));
  CHECK_THROWS_MATCHES(a[2], UserError, Message("operator[]: there is no row 2 in [2, 3]"));
  CHECK_THROWS_MATCHES(narrow(a, 1, 2, 2), UserError,
                       Message("narrow: 2 elements from 2 on do not lie in dimension 1 of [2, 3]"));
  CHECK_THROWS_MATCHES(sum(a, {0, -2}), UserError, Message("sum: dimension 0 is named twice"));
  CHECK_THROWS_AS(sum(a, 2), UserError);
  CHECK_THROWS_MATCHES(max(Tensor::zeros({2, 0}), 1), UserError,
                       Message("max: dimension 1 of [2, 0] is empty"));
  CHECK_THROWS_MATCHES(permute(a, {0, 0}), UserError,
                       Message("permute: [0, 0] does not name each dimension of [2, 3] once"));
  CHECK_THROWS_MATCHES(cat(std::vector<Tensor>{a, Tensor::zeros({2, 4})}, 0), UserError,
                       Message("cat: shapes [2, 3] and [2, 4] differ in more than dimension 0"));
  CHECK_THROWS_AS(cat(std::vector<Tensor>{}, 0), UserError);
  CHECK_THROWS_MATCHES(gather(a, 1, a), UserError,
                       Message("gather: the index is f32, not i64: convert with .to(DType::i64)"));
  CHECK_THROWS_MATCHES(gather(a, 1, i + 3), UserError,
                       Message("gather: index 3 at element 0 is not in [0, 3)"));
  CHECK_THROWS_MATCHES(broadcast_to(a, {2, 4}), UserError,
                       Message("broadcast_to: shapes [2, 3] and [2, 4] do not broadcast"));
  CHECK_THROWS_MATCHES(sum_to(a, {1, 2, 3}), UserError,
                       Message("sum_to: shape [1, 2, 3] does not broadcast to [2, 3]"));
}

TEST_CASE("ties share the gradient as PyTorch has it", "[ops]") {
  const Tensor a = vector({1, 2, 3}), b = vector({2, 2, 2});
  const auto [maximum_a, maximum_b] = gradients_of(maximum, a, b);
  CHECK(maximum_a == std::vector<double>{0, 0.5, 1});
  CHECK(maximum_b == std::vector<double>{1, 0.5, 0});
  const auto [minimum_a, minimum_b] = gradients_of(minimum, a, b);
  CHECK(minimum_a == std::vector<double>{1, 0.5, 0});
  CHECK(minimum_b == std::vector<double>{0, 0.5, 1});

  const Tensor x = vector({3, 1, 3, 3}, {.dtype = DType::f64, .requires_grad = true});
  Tape tape;
  auto [gradient] = tape.gradients(max(x, 0), {x});
  CHECK(gradient.to_vector() == std::vector<double>{1.0 / 3, 0, 1.0 / 3, 1.0 / 3});
}

TEST_CASE("gradients at kinks are PyTorch's", "[ops]") {
  const Tensor x = vector({-1, 0, 1}, {.dtype = DType::f64, .requires_grad = true});
  Tape tape;
  auto [of_relu] = tape.gradients(sum(relu(x)), {x});
  CHECK(of_relu.to_vector() == std::vector<double>{0, 0, 1});
  auto [of_abs] = tape.gradients(sum(abs(x)), {x});
  CHECK(of_abs.to_vector() == std::vector<double>{-1, 0, 1});
  auto [of_clamp] = tape.gradients(sum(clamp(x, 0, 1)), {x});
  CHECK(of_clamp.to_vector() == std::vector<double>{0, 1, 1});
  auto [of_leaky] = tape.gradients(sum(leaky_relu(x, 0.1)), {x});
  CHECK(of_leaky.to_vector() == std::vector<double>{0.1, 0.1, 1});
  auto [of_round] = tape.gradients(sum(round(x)), {x});
  CHECK(of_round.to_vector() == std::vector<double>{0, 0, 0});
}

TEST_CASE("NaN goes through, and halves are rounded to even", "[ops]") {
  const Tensor x = vector({kNan, 1}), y = vector({0, kNan});
  CHECK(std::isnan(relu(x).at({0})));
  CHECK(std::isnan(clamp(x, 0, 1).at({0})));
  CHECK(std::isnan(max(x, 0).item()));
  CHECK(std::isnan(min(y, 0).item()));
  CHECK(argmax(y, 0).item<std::int64_t>() == 1);
  for (std::int64_t i : {0, 1}) {
    CHECK(std::isnan(maximum(x, y).at({i})));
    CHECK(std::isnan(minimum(x, y).at({i})));
  }
  CHECK(equal(x, x).to_vector() == std::vector<double>{0, 1});
  CHECK(not_equal(x, x).to_vector() == std::vector<double>{1, 0});
  CHECK(round(vector({0.5, 1.5, 2.5, -0.5, 2.4})).to_vector() == std::vector<double>{0, 2, 2, -0.0, 2});
  CHECK(softplus(vector({1000, -1000})).to_vector() == std::vector<double>{1000, 0});
  CHECK(sigmoid(vector({1000, -1000})).to_vector() == std::vector<double>{1, 0});
}

TEST_CASE("empty tensors", "[ops]") {
  const Tensor x = Tensor::zeros({0, 3}, {.requires_grad = true});
  Tape tape;
  const Tensor y = sum(exp(x) * 2 + x);
  CHECK(y.item() == 0);
  auto [gradient] = tape.gradients(y, {x});
  CHECK(gradient.shape() == Shape{0, 3});
  CHECK(sum(x, 0).to_vector() == std::vector<double>{0, 0, 0});
  CHECK(cat(std::vector<Tensor>{x, x}, 1).shape() == Shape{0, 6});
  CHECK(pad(x, 0, 1, 0).to_vector() == std::vector<double>{0, 0, 0});
}

TEST_CASE("views share storage, copies do not", "[ops]") {
  const Tensor x = Tensor::randn({4, 6});
  auto shares = [&](const Tensor& y) { return y.impl()->storage == x.impl()->storage; };
  CHECK(shares(x.reshape({2, -1})));
  CHECK(shares(flatten(x)));
  CHECK(shares(x.slice(1, 3)));
  CHECK(shares(x[-1]));
  CHECK(x[-1].to_vector() == x.slice(3, 4).to_vector());
  CHECK(shares(x.detach()));
  CHECK(shares(split(x, 2, 0)[1]));
  CHECK(!shares(split(x, 2, 1)[1]));
  CHECK(!shares(transpose(x, 0, 1)));
  CHECK(shares(x.to(Device::cpu())));
  CHECK(shares(x.to(DType::f32)));
}

TEST_CASE("what carries no gradient is untracked", "[ops]") {
  const Tensor x = Tensor::randn({4, 6}, {.requires_grad = true});
  Tape tape;
  CHECK(exp(x).requires_grad());
  CHECK(!x.detach().requires_grad());
  CHECK(!exp(x).detach().requires_grad());
  CHECK(!greater(x, 0).requires_grad());
  CHECK(!argmax(x, 0).requires_grad());
  CHECK(!x.to(DType::i64).requires_grad());
  CHECK(x.to(DType::bf16).requires_grad());
}

TEST_CASE("casts between every two dtypes, and back in the gradient", "[ops]") {
  const std::vector<double> values = {0, 1, 3, 200};
  for (int from = 0; from < kDTypeCount; ++from)
    for (int to = 0; to < kDTypeCount; ++to) {
      const Tensor x = Tensor::from(values, {4}, {.dtype = static_cast<DType>(from)});
      const Tensor y = x.to(static_cast<DType>(to));
      INFO(to_string(x.info()) << " to " << to_string(y.info()));
      CHECK(y.dtype() == static_cast<DType>(to));
      const bool as_bool = x.dtype() == DType::boolean || y.dtype() == DType::boolean;
      CHECK(y.to_vector() == (as_bool ? std::vector<double>{0, 1, 1, 1} : values));
    }
  const Tensor x = Tensor::randn({3}, {.requires_grad = true});
  Tape tape;
  tape.backward(sum(x.to(DType::bf16).to(DType::f64) * 3));
  CHECK(x.grad().dtype() == DType::f32);
  CHECK(x.grad().to_vector() == std::vector<double>{3, 3, 3});
}

// A C++ temporary lives to the semicolon; ops that take tensors by value let go of it at once.
TEST_CASE("an expression holds two values at a time, not all", "[ops]") {
  const Tensor x = Tensor::randn({1024});
  const std::size_t before = memory::live(Device::cpu()), one = x.bytes();
  memory::reset_peak(Device::cpu());
  const Tensor y = relu(exp(tanh(sigmoid(x) * 2) + 1).reshape({32, 32}).reshape({1024}) * 3);
  CHECK(memory::peak(Device::cpu()) == before + 2 * one);
  CHECK(memory::live(Device::cpu()) == before + one);
}
