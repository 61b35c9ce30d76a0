// Views, parts, and other ops that only move elements.
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {

namespace {

// Refuses inputs of which there are fewer parts than a case expects: op cases run with other extents too.
std::vector<Tensor> split_into(std::size_t expected, const Tensor& x, std::int64_t size, int dim) {
  std::vector<Tensor> parts = split(x, size, dim);
  if (parts.size() != expected) throw UserError("a case of split expects other extents");
  return parts;
}

}  // namespace

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
      {.name = "transpose",
       .function = [](Inputs in) { return transpose(in[0], 0, 1); },
       .inputs = {uniform({2, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0], x[3], x[1], x[4], x[2], x[5]};
           },
       .saves = {{}}},
      {.name = "permute",  // y[k][i][j] = x[i][j][k]
       .function =
           [](Inputs in) {
             return permute(in[0], {-1, 0, 1});
           },
       .inputs = {uniform({2, 3, 4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t k = 0; k < 4; ++k)
               for (std::size_t i = 0; i < 2; ++i)
                 for (std::size_t j = 0; j < 3; ++j) result.push_back(in[0][(i * 3 + j) * 4 + k]);
             return result;
           }},
      {.name = "permute, large",
       .function =
           [](Inputs in) {
             return permute(in[0], {2, 0, 3, 1});
           },
       .inputs = {uniform({7, 30, 41, 13})},
       .large = true},
      {.name = "cat of rows",
       .function =
           [](Inputs in) {
             return cat({in.begin(), in.end()}, 0);
           },
       .inputs = {uniform({2, 3}), uniform({1, 3}), frozen(uniform({2, 3}))},
       .reference =
           [](const std::vector<Values>& in) {
             Values result = in[0];
             result.insert(result.end(), in[1].begin(), in[1].end());
             result.insert(result.end(), in[2].begin(), in[2].end());
             return result;
           },
       .saves = {{}}},
      {.name = "cat of columns",
       .function =
           [](Inputs in) {
             return cat({in.begin(), in.end()}, -1);
           },
       .inputs = {uniform({2, 2}), uniform({2, 1})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values &a = in[0], &b = in[1];
             return Values{a[0], a[1], b[0], a[2], a[3], b[1]};
           }},
      {.name = "stack",
       .function =
           [](Inputs in) {
             return stack({in.begin(), in.end()}, 1);
           },
       .inputs = {uniform({2, 2}), uniform({2, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values &a = in[0], &b = in[1];
             return Values{a[0], a[1], b[0], b[1], a[2], a[3], b[2], b[3]};
           }},
      {.name = "split",  // columns 0 and 1, and column 2
       .function =
           [](Inputs in) {
             const std::vector<Tensor> parts = split_into(2, in[0], 2, 1);
             return parts[0] * parts[1];
           },
       .inputs = {uniform({2, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0] * x[2], x[1] * x[2], x[3] * x[5], x[4] * x[5]};
           }},
      {.name = "split of rows",
       .function =
           [](Inputs in) {
             const std::vector<Tensor> parts = split_into(3, in[0], 1, 0);
             return parts[0] * parts[2] + parts[1];
           },
       .inputs = {uniform({3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             const Values& x = in[0];
             return Values{x[0] * x[4] + x[2], x[1] * x[5] + x[3]};
           }},
      {.name = "gather from rows",
       .function = [](Inputs in) { return gather(in[0], 0, in[1]); },
       .inputs = {uniform({4, 3}), integers({5, 2}, 0, 4)},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t i = 0; i < 10; ++i)
               result.push_back(in[0][static_cast<std::size_t>(in[1][i]) * 3 + i % 2]);
             return result;
           },
       .saves = {{.inputs = {1}}}},
      {.name = "gather from columns",
       .function = [](Inputs in) { return gather(in[0], -1, in[1]); },
       .inputs = {uniform({2, 4}), integers({2, 3}, 0, 4)},
       .reference =
           [](const std::vector<Values>& in) {
             Values result;
             for (std::size_t i = 0; i < 6; ++i)
               result.push_back(in[0][i / 3 * 4 + static_cast<std::size_t>(in[1][i])]);
             return result;
           }},
      {.name = "scatter_add",
       .function = [](Inputs in) { return scatter_add(in[0], 0, in[1], {4}); },
       .inputs = {uniform({9}), integers({9}, 0, 4)},
       .reference =
           [](const std::vector<Values>& in) {
             Values result(4, 0);
             for (std::size_t i = 0; i < 9; ++i) result[static_cast<std::size_t>(in[1][i])] += in[0][i];
             return result;
           }},
      {.name = "cast there and back",
       .function = [](Inputs in) { return in[0].to(DType::f64) * 2; },
       .inputs = {uniform({5})},
       .reference = each([](double x) { return 2 * x; })},
  };
}

}  // namespace reprise::test
