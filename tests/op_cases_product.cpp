// Products: matmul, linear, column_sum, embedding; convolutions are in op_cases_image.cpp.
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

// a [m, k] times b [k, n], each read at the given strides, from given places.
void multiply(const Values& a, std::size_t a0, std::size_t a_row, std::size_t a_column, const Values& b,
              std::size_t b0, std::size_t b_row, std::size_t b_column, std::size_t m, std::size_t n,
              std::size_t k, Values& y) {
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t p = 0; p < k; ++p)
        sum += a[a0 + i * a_row + p * a_column] * b[b0 + p * b_row + j * b_column];
      y.push_back(sum);
    }
}

std::function<Tensor(Inputs)> product(bool transpose_a, bool transpose_b) {
  return [=](Inputs in) {
    return matmul(in[0], in[1], {.transpose_a = transpose_a, .transpose_b = transpose_b});
  };
}

Values linear_formula(const Values& x, const Values& w, const Values* b, std::size_t in, std::size_t out) {
  Values y;
  multiply(x, 0, in, 1, w, 0, 1, in, x.size() / in, out, in, y);
  for (std::size_t i = 0; b && i < y.size(); ++i) y[i] += (*b)[i % out];
  return y;
}

}  // namespace

std::vector<OpCase> product_cases() {
  return {
      {.name = "matmul",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({3, 4}), uniform({4, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 4, 1, in[1], 0, 2, 1, 3, 2, 4, y);
             return y;
           },
       .saves = {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0}}, {.frozen = 1, .inputs = {1}}}},
      {.name = "matmul, first stored transposed",
       .function = product(true, false),
       .inputs = {uniform({4, 3}), uniform({4, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 1, 3, in[1], 0, 2, 1, 3, 2, 4, y);
             return y;
           }},
      {.name = "matmul, second stored transposed",
       .function = product(false, true),
       .inputs = {uniform({3, 4}), uniform({2, 4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 4, 1, in[1], 0, 1, 4, 3, 2, 4, y);
             return y;
           }},
      {.name = "matmul, both stored transposed",
       .function = product(true, true),
       .inputs = {uniform({4, 3}), uniform({2, 4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 1, 3, in[1], 0, 1, 4, 3, 2, 4, y);
             return y;
           }},
      {.name = "matmul, a row by a column",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({4}), uniform({4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 4, 1, in[1], 0, 1, 1, 1, 1, 4, y);
             return y;
           }},
      {.name = "matmul, a row by matrices",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({3}), uniform({2, 3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             for (std::size_t i : {0U, 1U}) multiply(in[0], 0, 3, 1, in[1], i * 6, 2, 1, 1, 2, 3, y);
             return y;
           }},
      {.name = "matmul, a batch",
       .function = product(false, true),
       .inputs = {uniform({2, 3, 4}), uniform({2, 5, 4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             for (std::size_t i : {0U, 1U}) multiply(in[0], i * 12, 4, 1, in[1], i * 20, 1, 4, 3, 5, 4, y);
             return y;
           }},
      {.name = "matmul, one matrix for a batch",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({2, 3, 4}), uniform({4, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 4, 1, in[1], 0, 2, 1, 6, 2, 4, y);
             return y;
           }},
      {.name = "matmul, one transposed matrix for a batch",
       .function = product(false, true),
       .inputs = {uniform({2, 3, 4}), uniform({1, 2, 4})}},
      {.name = "matmul, a batch stored transposed by one matrix",
       .function = product(true, false),
       .inputs = {uniform({2, 4, 3}), uniform({4, 2})}},
      {.name = "matmul, both broadcast",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({2, 1, 3, 4}), uniform({3, 4, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             for (std::size_t i : {0U, 1U})
               for (std::size_t j : {0U, 1U, 2U})
                 multiply(in[0], i * 12, 4, 1, in[1], j * 8, 2, 1, 3, 2, 4, y);
             return y;
           }},
      {.name = "matmul, large",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({67, 301}), uniform({301, 45})},
       .large = true},
      {.name = "matmul of batches, large",
       .function = product(false, true),
       .inputs = {uniform({6, 33, 40}), uniform({6, 35, 40})},
       .large = true},
      {.name = "linear",
       .function = [](Inputs in) { return linear(in[0], in[1], in[2]); },
       .inputs = {uniform({2, 2, 3}), uniform({4, 3}), uniform({4})},
       .reference = [](const std::vector<Values>& in) { return linear_formula(in[0], in[1], &in[2], 3, 4); },
       .saves = {{.inputs = {0, 1}},
                 {.frozen = 0, .inputs = {0}},
                 {.frozen = 1, .inputs = {1}},
                 {.frozen = 2, .inputs = {0, 1}}}},
      {.name = "linear without a bias, of one row",
       .function = [](Inputs in) { return linear(in[0], in[1]); },
       .inputs = {uniform({3}), uniform({4, 3})},
       .reference =
           [](const std::vector<Values>& in) { return linear_formula(in[0], in[1], nullptr, 3, 4); }},
      {.name = "linear, large",
       .function = [](Inputs in) { return linear(in[0], in[1], in[2]); },
       .inputs = {uniform({130, 70}), uniform({55, 70}), uniform({55})},
       .reference =
           [](const std::vector<Values>& in) { return linear_formula(in[0], in[1], &in[2], 70, 55); },
       .large = true},
      {.name = "linear_backward_weight",
       .function = [](Inputs in) { return linear_backward_weight(in[0], in[1]); },
       .inputs = {uniform({2, 2, 3}), uniform({2, 2, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             multiply(in[0], 0, 1, 3, in[1], 0, 2, 1, 3, 2, 4, y);
             return y;
           },
       .saves = {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0}}, {.frozen = 1, .inputs = {1}}}},
      {.name = "column_sum",
       .function = [](Inputs in) { return column_sum(in[0]); },
       .inputs = {uniform({2, 2, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y(3);
             for (std::size_t i = 0; i < in[0].size(); ++i) y[i % 3] += in[0][i];
             return y;
           },
       .saves = {{}}},
      {.name = "column_sum, large",
       .function = [](Inputs in) { return column_sum(in[0]); },
       .inputs = {uniform({400, 301})},
       .large = true},
      {.name = "embedding",
       .function = [](Inputs in) { return embedding(in[0], in[1]); },
       .inputs = {integers({2, 3}, 0, 4), uniform({4, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             for (const double id : in[0])
               for (std::size_t c = 0; c < 3; ++c) y.push_back(in[1][static_cast<std::size_t>(id) * 3 + c]);
             return y;
           },
       .saves = {{.inputs = {0}}}},
      {.name = "embedding, large",
       .function = [](Inputs in) { return embedding(in[0], in[1]); },
       .inputs = {integers({40, 30}, 0, 211), uniform({211, 65})},
       .large = true},
  };
}

}  // namespace reprise::test
