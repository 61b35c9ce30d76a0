// Views, parts, and other ops that only move elements.
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {

std::vector<OpCase> shape_cases() {
  auto same = [](const std::vector<Values>& in) { return in[0]; };
  return {
      {.name = "reshape",
       .function =
           [](Inputs in) {
             return in[0].reshape({3, -1});
           },
       .inputs = {uniform({2, 6})},
       .reference = same,
       .saves = {{}}},
      {.name = "flatten",
       .function = [](Inputs in) { return flatten(in[0], 1); },
       .inputs = {uniform({2, 3, 4})},
       .reference = same},
      {.name = "slice",
       .function = [](Inputs in) { return in[0].slice(1, 3); },
       .inputs = {uniform({4, 2})},
       .reference =
           [](const std::vector<Values>& in) { return Values(in[0].begin() + 2, in[0].begin() + 6); },
       .saves = {{}}},
      {.name = "one row",
       .function = [](Inputs in) { return in[0][-1]; },
       .inputs = {uniform({4, 2})},
       .reference = [](const std::vector<Values>& in) { return Values(in[0].begin() + 6, in[0].end()); }},
      {.name = "narrow",
       .function = [](Inputs in) { return narrow(in[0], 1, 1, 2); },
       .inputs = {uniform({2, 4, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values result(in[0].begin() + 2, in[0].begin() + 6);
             result.insert(result.end(), in[0].begin() + 10, in[0].begin() + 14);
             return result;
           }},
      {.name = "pad",
       .function = [](Inputs in) { return pad(in[0], -1, 1, 2); },
       .inputs = {uniform({2, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{0, x[0], x[1], 0, 0, 0, x[2], x[3], 0, 0};
           }},
      {.name = "broadcast_to",
       .function =
           [](Inputs in) {
             return broadcast_to(in[0], {2, 3, 2});
           },
       .inputs = {uniform({3, 1})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0], x[0], x[1], x[1], x[2], x[2], x[0], x[0], x[1], x[1], x[2], x[2]};
           }},
      {.name = "cast there and back",
       .function = [](Inputs in) { return in[0].to(DType::f64) * 2; },
       .inputs = {uniform({5})},
       .reference = each([](double x) { return 2 * x; })},
  };
}

}  // namespace reprise::test
