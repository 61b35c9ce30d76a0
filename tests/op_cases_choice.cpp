// Comparisons, where, maximum and minimum.
#include <cmath>

#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

OpCase comparison(const char* name, Tensor (*op)(Tensor, Tensor), double (*formula)(double, double)) {
  return {.name = name,
          .function = [op](Inputs in) { return op(in[0], in[1]); },
          .inputs = {integers({40}, -2, 3), integers({40}, -2, 3)},
          .reference = each(formula)};
}

}  // namespace

std::vector<OpCase> choice_cases() {
  return {
      comparison("equal", equal, [](double a, double b) { return a == b ? 1.0 : 0.0; }),
      comparison("not_equal", not_equal, [](double a, double b) { return a != b ? 1.0 : 0.0; }),
      comparison("less", less, [](double a, double b) { return a < b ? 1.0 : 0.0; }),
      comparison("less_equal", less_equal, [](double a, double b) { return a <= b ? 1.0 : 0.0; }),
      comparison("greater", greater, [](double a, double b) { return a > b ? 1.0 : 0.0; }),
      comparison("greater_equal", greater_equal, [](double a, double b) { return a >= b ? 1.0 : 0.0; }),
      {.name = "greater than a number",
       .function = [](Inputs in) { return greater(in[0], 0.25); },
       .inputs = {frozen(uniform({20}))},
       .reference = each([](double x) { return x > 0.25 ? 1.0 : 0.0; })},
      {.name = "where",
       .function = [](Inputs in) { return where(in[0], in[1], in[2]); },
       .inputs = {mask({2, 5}), uniform({2, 5}), uniform({2, 5})},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t i = 0; i < 10; ++i) result.push_back(in[0][i] != 0 ? in[1][i] : in[2][i]);
             return result;
           },
       .saves = {{.inputs = {0}}, {.frozen = 1, .inputs = {0}}}},
      {.name = "where, broadcasting",
       .function = [](Inputs in) { return where(in[0], in[1], in[2]); },
       .inputs = {mask({5}), uniform({2, 1}), uniform({})},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t i = 0; i < 10; ++i)
               result.push_back(in[0][i % 5] != 0 ? in[1][i / 5] : in[2][0]);
             return result;
           }},
      {.name = "where of integers",
       .function = [](Inputs in) { return where(less(in[0], in[1]), in[0], in[1]); },
       .inputs = {integers({9}, -5, 5), integers({9}, -5, 5)},
       .reference = each([](double a, double b) { return a < b ? a : b; })},
      {.name = "maximum",
       .function = [](Inputs in) { return maximum(in[0], in[1]); },
       .inputs = {uniform({2, 4}), uniform({2, 4})},
       .reference = each([](double a, double b) { return a > b ? a : b; }),
       .saves = {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0, 1}}}},
      {.name = "minimum, broadcasting",
       .function = [](Inputs in) { return minimum(in[0], in[1]); },
       .inputs = {uniform({2, 4}), uniform({4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t i = 0; i < 8; ++i) result.push_back(std::fmin(in[0][i], in[1][i % 4]));
             return result;
           }},
  };
}

}  // namespace reprise::test
