// Sums and means.
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

double total(const Values& x) {
  double result = 0;
  for (const double v : x) result += v;
  return result;
}

}  // namespace

std::vector<OpCase> reduction_cases() {
  return {
      {.name = "sum of all",
       .function = [](Inputs in) { return sum(in[0]); },
       .inputs = {uniform({2, 3})},
       .reference = [](const std::vector<Values>& in) { return Values{total(in[0])}; },
       .saves = {{}}},
      {.name = "sum of all, large",
       .function = [](Inputs in) { return sum(in[0]); },
       .inputs = {uniform({301, 1003}, 0, 1)},
       .reference = [](const std::vector<Values>& in) { return Values{total(in[0])}; },
       .large = true},
      {.name = "sum of the middle dimension",
       .function = [](Inputs in) { return sum(in[0], 1); },
       .inputs = {uniform({2, 3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0] + x[2] + x[4], x[1] + x[3] + x[5], x[6] + x[8] + x[10], x[7] + x[9] + x[11]};
           }},
      {.name = "sum of the first and last dimension",
       .function =
           [](Inputs in) {
             return sum(in[0], {0, -1}, {.keepdim = true});
           },
       .inputs = {uniform({2, 3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0] + x[1] + x[6] + x[7], x[2] + x[3] + x[8] + x[9], x[4] + x[5] + x[10] + x[11]};
           }},
      {.name = "sum of columns, large",
       .function = [](Inputs in) { return sum(in[0], 0); },
       .inputs = {uniform({400, 300}, 0, 1)},
       .large = true},
      {.name = "sum of rows, large",
       .function = [](Inputs in) { return sum(in[0], 1); },
       .inputs = {uniform({400, 300}, 0, 1)},
       .large = true},
      {.name = "sum of integers",
       .function = [](Inputs in) { return sum(in[0]); },
       .inputs = {integers({9}, -100, 100)},
       .reference = [](const std::vector<Values>& in) { return Values{total(in[0])}; }},
      {.name = "mean of all",
       .function = [](Inputs in) { return mean(in[0]); },
       .inputs = {uniform({2, 3})},
       .reference = [](const std::vector<Values>& in) { return Values{total(in[0]) / 6}; },
       .saves = {{}}},
      {.name = "mean of the last dimension",
       .function = [](Inputs in) { return mean(in[0], -1); },
       .inputs = {uniform({2, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{(x[0] + x[1] + x[2]) / 3, (x[3] + x[4] + x[5]) / 3};
           }},
      {.name = "sum_to",
       .function =
           [](Inputs in) {
             return sum_to(in[0], {3, 1});
           },
       .inputs = {uniform({2, 3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0] + x[1] + x[6] + x[7], x[2] + x[3] + x[8] + x[9], x[4] + x[5] + x[10] + x[11]};
           }},
  };
}

}  // namespace reprise::test
