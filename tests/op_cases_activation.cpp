// Functions of one tensor, element by element.
#include <cmath>
#include <numbers>

#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

double normal_distribution(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }

// a f(b), for the halves of rows of 6.
std::function<Values(const std::vector<Values>&)> gated(double (*f)(double)) {
  return [f](const std::vector<Values>& in) {
    Values y;
    for (std::size_t row = 0; row < in[0].size(); row += 6)
      for (std::size_t i = row; i < row + 3; ++i) y.push_back(in[0][i] * f(in[0][i + 3]));
    return y;
  };
}

OpCase unary(const char* name, Tensor (*op)(Tensor), OpInput input, double (*formula)(double),
             ExpectedSaves saves) {
  return {.name = name,
          .function = [op](Inputs in) { return op(in[0]); },
          .inputs = {std::move(input)},
          .reference = each(formula),
          .saves = {std::move(saves)}};
}

OpCase large(const char* name, Tensor (*op)(Tensor), OpInput input) {
  return {.name = std::string(name) + ", large",
          .function = [op](Inputs in) { return op(in[0]); },
          .inputs = {std::move(input)},
          .large = true};
}

}  // namespace

std::vector<OpCase> activation_cases() {
  const ExpectedSaves input = {.inputs = {0}}, output = {.outputs = {0}};
  const Shape small = {2, 3}, many = {300, 401};
  return {
      unary(
          "exp", exp, uniform(small, -2, 2), [](double x) { return std::exp(x); }, output),
      large("exp", exp, uniform(many, -5, 5)),
      unary(
          "log", log, uniform(small, 0.2, 3), [](double x) { return std::log(x); }, input),
      large("log", log, uniform(many, 0.01, 9)),
      unary(
          "sqrt", sqrt, uniform(small, 0.2, 3), [](double x) { return std::sqrt(x); }, output),
      large("sqrt", sqrt, uniform(many, 0.01, 9)),
      unary(
          "abs", abs, away_from_zero(small), [](double x) { return x < 0 ? -x : x; }, input),
      large("abs", abs, away_from_zero(many)),
      unary(
          "relu", relu, away_from_zero(small), [](double x) { return x > 0 ? x : 0; }, output),
      large("relu", relu, away_from_zero(many)),
      unary(
          "sigmoid", sigmoid, uniform(small, -4, 4), [](double x) { return 1 / (1 + std::exp(-x)); }, output),
      large("sigmoid", sigmoid, uniform(many, -9, 9)),
      unary(
          "tanh", tanh, uniform(small, -2, 2), [](double x) { return std::tanh(x); }, output),
      large("tanh", tanh, uniform(many, -3, 3)),
      unary(
          "silu", silu, uniform(small, -4, 4), [](double x) { return x / (1 + std::exp(-x)); }, input),
      large("silu", silu, uniform(many, -9, 9)),
      unary(
          "softplus", softplus, uniform(small, -4, 4), [](double x) { return std::log(1 + std::exp(x)); },
          input),
      large("softplus", softplus, uniform(many, -30, 30)),
      {.name = "round",
       .function = [](Inputs in) { return round(in[0] * 3); },
       .inputs = {distinct({7})},
       .reference = each([](double x) { return std::floor(3 * x + 0.5); })},
      {.name = "gelu",
       .function = [](Inputs in) { return gelu(in[0]); },
       .inputs = {uniform(small, -3, 3)},
       .reference = each([](double x) { return x * normal_distribution(x); }),
       .saves = {input}},
      {.name = "gelu, large",
       .function = [](Inputs in) { return gelu(in[0]); },
       .inputs = {uniform(many, -6, 6)},
       .large = true},
      {.name = "gelu by tanh",
       .function = [](Inputs in) { return gelu(in[0], {.approximate = Approximate::tanh}); },
       .inputs = {uniform(small, -3, 3)},
       .reference = each([](double x) {
         return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
       }),
       .saves = {input}},
      {.name = "gelu by tanh, large",
       .function = [](Inputs in) { return gelu(in[0], {.approximate = Approximate::tanh}); },
       .inputs = {uniform(many, -6, 6)},
       .large = true},
      {.name = "geglu",
       .function = [](Inputs in) { return geglu(in[0]); },
       .inputs = {uniform({2, 6}, -3, 3)},
       .reference = gated([](double x) { return x * normal_distribution(x); }),
       .saves = {input},
       .double_backward = false},
      {.name = "geglu by tanh",
       .function = [](Inputs in) { return geglu(in[0], {.approximate = Approximate::tanh}); },
       .inputs = {uniform({2, 6}, -3, 3)},
       .reference = gated([](double x) {
         return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
       }),
       .double_backward = false},
      {.name = "swiglu",
       .function = [](Inputs in) { return swiglu(in[0]); },
       .inputs = {uniform({2, 6}, -3, 3)},
       .reference = gated([](double x) { return x / (1 + std::exp(-x)); }),
       .saves = {input},
       .double_backward = false},
      {.name = "geglu by tanh, large",
       .function = [](Inputs in) { return geglu(in[0], {.approximate = Approximate::tanh}); },
       .inputs = {uniform({300, 406}, -6, 6)},
       .double_backward = false,
       .large = true},
      {.name = "geglu, large",
       .function = [](Inputs in) { return geglu(in[0]); },
       .inputs = {uniform({300, 406}, -6, 6)},
       .double_backward = false,
       .large = true},
      {.name = "swiglu, large",
       .function = [](Inputs in) { return swiglu(in[0]); },
       .inputs = {uniform({300, 406}, -9, 9)},
       .double_backward = false,
       .large = true},
      {.name = "leaky_relu",
       .function = [](Inputs in) { return leaky_relu(in[0], 0.2); },
       .inputs = {away_from_zero(small)},
       .reference = each([](double x) { return x > 0 ? x : 0.2 * x; }),
       .saves = {output}},
      {.name = "leaky_relu, negative slope",
       .function = [](Inputs in) { return leaky_relu(in[0], -0.5); },
       .inputs = {away_from_zero(small)},
       .reference = each([](double x) { return x > 0 ? x : -0.5 * x; }),
       .saves = {input}},
      {.name = "clamp",
       .function = [](Inputs in) { return clamp(in[0], -0.41, 0.53); },
       .inputs = {distinct({11})},
       .reference = each([](double x) { return std::fmin(std::fmax(x, -0.41), 0.53); }),
       .saves = {input}},
      {.name = "pow",
       .function = [](Inputs in) { return pow(in[0], 2.5); },
       .inputs = {uniform(small, 0.2, 3)},
       .reference = each([](double x) { return std::pow(x, 2.5); }),
       .saves = {input}},
      {.name = "pow 2",
       .function = [](Inputs in) { return pow(in[0], 2); },
       .inputs = {uniform(small)},
       .reference = each([](double x) { return x * x; })},
      {.name = "pow 3",
       .function = [](Inputs in) { return pow(in[0], 3); },
       .inputs = {uniform(small)},
       .reference = each([](double x) { return x * x * x; })},
      {.name = "pow 0",
       .function = [](Inputs in) { return pow(in[0], 0); },
       .inputs = {uniform(small)},
       .reference = each([](double) { return 1.0; })},
      {.name = "a chain of functions",
       .function = [](Inputs in) { return tanh(sqrt(exp(in[0]) + 1)) * sigmoid(in[0]); },
       .inputs = {uniform(small)},
       .reference =
           each([](double x) { return std::tanh(std::sqrt(std::exp(x) + 1)) / (1 + std::exp(-x)); })},
  };
}

}  // namespace reprise::test
