// Sums, means, extremes.
#include <algorithm>

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
      {.name = "max of rows",
       .function = [](Inputs in) { return max(in[0], 1); },
       .inputs = {distinct({3, 5})},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (int r = 0; r < 3; ++r)
               result.push_back(*std::max_element(in[0].begin() + 5 * r, in[0].begin() + 5 * (r + 1)));
             return result;
           },
       .saves = {{.inputs = {0}, .outputs = {0}}}},
      {.name = "max of columns",
       .function = [](Inputs in) { return max(in[0], 0, {.keepdim = true}); },
       .inputs = {distinct({3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{std::max({x[0], x[2], x[4]}), std::max({x[1], x[3], x[5]})};
           }},
      {.name = "min of all",
       .function =
           [](Inputs in) {
             return min(in[0], {0, 1});
           },
       .inputs = {distinct({3, 5})},
       .reference =
           [](const std::vector<Values>& in) {
             return Values{*std::min_element(in[0].begin(), in[0].end())};
           }},
      {.name = "max, large",
       .function =
           [](Inputs in) {
             return max(in[0], {0, 2});
           },
       .inputs = {distinct({40, 50, 60})},
       .double_backward = false,  // differences across so many elements would change places
       .large = true},
      {.name = "max of integers",
       .function = [](Inputs in) { return max(in[0], 0); },
       .inputs = {integers({9}, -100, 100)},
       .reference =
           [](const std::vector<Values>& in) {
             return Values{*std::max_element(in[0].begin(), in[0].end())};
           }},
      {.name = "argmax of rows",
       .function = [](Inputs in) { return argmax(in[0], -1); },
       .inputs = {frozen(distinct({3, 5}))},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (int r = 0; r < 3; ++r) {
               const auto row = in[0].begin() + 5 * r;
               result.push_back(static_cast<double>(std::max_element(row, row + 5) - row));
             }
             return result;
           }},
      {.name = "argmax of columns, the first of equal ones",
       .function = [](Inputs in) { return argmax(in[0], 0); },
       .inputs = {integers({6, 4}, 0, 3)},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t c = 0; c < 4; ++c) {
               std::size_t best = 0;
               for (std::size_t r = 1; r < 6; ++r)
                 if (in[0][r * 4 + c] > in[0][best * 4 + c]) best = r;
               result.push_back(static_cast<double>(best));
             }
             return result;
           }},
  };
}

}  // namespace reprise::test
