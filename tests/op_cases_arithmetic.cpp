// add, sub, mul, div, neg and their forms with a number.
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

// A formula for a [2, 3, 4] and b [3, 1].
std::function<Values(const std::vector<Values>&)> broadcast(double (*formula)(double, double)) {
  return [formula](const std::vector<Values>& in) {
    Values result;
    for (std::size_t i = 0; i < 24; ++i) result.push_back(formula(in[0][i], in[1][i / 4 % 3]));
    return result;
  };
}

OpCase binary(const char* name, Tensor (*op)(Tensor, Tensor), double (*formula)(double, double),
              std::vector<ExpectedSaves> saves) {
  return {.name = std::string(name) + ", equal shapes",
          .function = [op](Inputs in) { return op(in[0], in[1]); },
          .inputs = {uniform({2, 3}), away_from_zero({2, 3})},
          .reference = each(formula),
          .saves = std::move(saves)};
}

OpCase broadcasting(const char* name, Tensor (*op)(Tensor, Tensor), double (*formula)(double, double)) {
  return {.name = std::string(name) + ", broadcasting",
          .function = [op](Inputs in) { return op(in[0], in[1]); },
          .inputs = {uniform({2, 3, 4}), away_from_zero({3, 1})},
          .reference = broadcast(formula)};
}

OpCase large(const char* name, Tensor (*op)(Tensor, Tensor)) {
  return {.name = std::string(name) + ", large, a row repeated",
          .function = [op](Inputs in) { return op(in[0], in[1]); },
          .inputs = {uniform({700, 301}), away_from_zero({301})},
          .large = true};
}

}  // namespace

std::vector<OpCase> arithmetic_cases() {
  auto plus = [](double a, double b) { return a + b; };
  auto minus = [](double a, double b) { return a - b; };
  auto times = [](double a, double b) { return a * b; };
  auto over = [](double a, double b) { return a / b; };
  return {
      binary("add", add, plus, {{}}),
      broadcasting("add", add, plus),
      large("add", add),
      binary("sub", sub, minus, {{}}),
      broadcasting("sub", sub, minus),
      large("sub", sub),
      binary("mul", mul, times,
             {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0}}, {.frozen = 1, .inputs = {1}}}),
      broadcasting("mul", mul, times),
      large("mul", mul),
      binary("div", div, over,
             {{.inputs = {1}, .outputs = {0}},
              {.frozen = 0, .inputs = {1}, .outputs = {0}},
              {.frozen = 1, .inputs = {1}}}),
      broadcasting("div", div, over),
      large("div", div),
      {.name = "mul with itself",
       .function = [](Inputs in) { return in[0] * in[0]; },
       .inputs = {uniform({5})},
       .reference = each([](double x) { return x * x; })},
      {.name = "add with a number",
       .function = [](Inputs in) { return 2.0 + (in[0] + 0.5); },
       .inputs = {uniform({2, 3})},
       .reference = each([](double x) { return x + 2.5; }),
       .saves = {{}}},
      {.name = "sub with a number",
       .function = [](Inputs in) { return 2.0 - (in[0] - 0.5); },
       .inputs = {uniform({2, 3})},
       .reference = each([](double x) { return 2.5 - x; }),
       .saves = {{}}},
      {.name = "mul with a number",
       .function = [](Inputs in) { return 3.0 * (in[0] * 0.5); },
       .inputs = {uniform({2, 3})},
       .reference = each([](double x) { return 1.5 * x; }),
       .saves = {{}}},
      {.name = "div by a number",
       .function = [](Inputs in) { return in[0] / 4.0; },
       .inputs = {uniform({2, 3})},
       .reference = each([](double x) { return x / 4; })},
      {.name = "a number divided",
       .function = [](Inputs in) { return 3.0 / in[0]; },
       .inputs = {away_from_zero({2, 3})},
       .reference = each([](double x) { return 3 / x; }),
       .saves = {{.inputs = {0}}}},
      {.name = "neg",
       .function = [](Inputs in) { return -in[0]; },
       .inputs = {uniform({2, 3})},
       .reference = each([](double x) { return -x; }),
       .saves = {{}}},
      {.name = "integers",
       .function = [](Inputs in) { return (in[0] + in[1]) * in[1] - in[0] * 3 + 1; },
       .inputs = {integers({7}, -5, 5), integers({7}, -5, 5)},
       .reference = each([](double a, double b) { return (a + b) * b - a * 3 + 1; })},
  };
}

}  // namespace reprise::test
