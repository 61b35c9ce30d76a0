// Norms, softmax, dropout.
#include <cmath>

#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

// (x - mean) / sqrt(variance + eps) * weight + bias for groups of `count` elements: element k of group g is
// x[place(g, k)], and its weight weight[channel(g, k)].
template <class Place, class Channel>
Values norm_formula(const std::vector<Values>& in, std::size_t groups, std::size_t count, double eps,
                    Place place, Channel channel) {
  Values y(in[0].size());
  for (std::size_t g = 0; g < groups; ++g) {
    double mean = 0, variance = 0;
    for (std::size_t k = 0; k < count; ++k) mean += in[0][place(g, k)] / static_cast<double>(count);
    for (std::size_t k = 0; k < count; ++k)
      variance += (in[0][place(g, k)] - mean) * (in[0][place(g, k)] - mean) / static_cast<double>(count);
    for (std::size_t k = 0; k < count; ++k)
      y[place(g, k)] = (in[0][place(g, k)] - mean) / std::sqrt(variance + eps) * in[1][channel(g, k)] +
                       in[2][channel(g, k)];
  }
  return y;
}

Values batch_norm_formula(const std::vector<Values>& in) {
  const std::size_t channels = in[1].size();
  return norm_formula(
      in, channels, in[0].size() / channels, 1e-5,
      [=](std::size_t g, std::size_t k) { return k * channels + g; },
      [](std::size_t g, std::size_t) { return g; });
}

Values layer_norm_formula(const std::vector<Values>& in) {
  const std::size_t width = in[1].size();
  return norm_formula(
      in, in[0].size() / width, width, 1e-5, [=](std::size_t g, std::size_t k) { return g * width + k; },
      [](std::size_t, std::size_t k) { return k; });
}

Values rms_norm_formula(const std::vector<Values>& in) {
  const std::size_t width = in[1].size();
  Values y(in[0].size());
  for (std::size_t row = 0; row < y.size() / width; ++row) {
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) squares += std::pow(in[0][row * width + i], 2);
    for (std::size_t i = 0; i < width; ++i)
      y[row * width + i] =
          in[0][row * width + i] / std::sqrt(squares / static_cast<double>(width) + 1e-6) * in[1][i];
  }
  return y;
}

// exp(x) / sum(exp(x)) over the middle of [outer, extent, inner].
Values softmax_formula(const Values& x, std::size_t extent, std::size_t inner) {
  Values y(x.size());
  for (std::size_t line = 0; line < x.size() / extent; ++line) {
    const std::size_t first = line / inner * extent * inner + line % inner;
    double sum = 0;
    for (std::size_t i = 0; i < extent; ++i) sum += std::exp(x[first + i * inner]);
    for (std::size_t i = 0; i < extent; ++i) y[first + i * inner] = std::exp(x[first + i * inner]) / sum;
  }
  return y;
}

}  // namespace

std::vector<OpCase> normalization_cases() {
  return {
      {.name = "batch_norm",
       .function = [](Inputs in) { return batch_norm(in[0], in[1], in[2]).y; },
       .inputs = {uniform({2, 2, 3, 2}), exact(uniform({2})), exact(uniform({2}))},
       .reference = batch_norm_formula,
       .saves = {{.inputs = {0, 1}, .outputs = {1, 2}}, {.frozen = 1, .inputs = {0, 1}, .outputs = {1, 2}}},
       .double_backward = false},
      {.name = "batch_norm with a frozen input",
       .function = [](Inputs in) { return batch_norm(in[0], in[1], in[2]).y; },
       .inputs = {frozen(uniform({5, 2})), exact(uniform({2})), exact(uniform({2}))},
       .reference = batch_norm_formula,
       .double_backward = false},
      {.name = "batch_norm, large",
       .function = [](Inputs in) { return batch_norm(in[0], in[1], in[2]).y; },
       .inputs = {uniform({4, 12, 12, 72}), exact(uniform({72})), exact(uniform({72}))},
       .reference = batch_norm_formula,
       .double_backward = false,
       .large = true},
      {.name = "batch_norm_relu",
       .function = [](Inputs in) { return batch_norm_relu(in[0], in[1], in[2]).y; },
       .inputs = {uniform({2, 2, 3, 2}), exact(uniform({2})), exact(uniform({2}))},
       .reference =
           [](const std::vector<Values>& in) {
             Values y = batch_norm_formula(in);
             for (double& v : y) v = std::max(v, 0.0);
             return y;
           },
       .saves = {{.inputs = {0, 1}, .outputs = {0, 1, 2}}},
       .double_backward = false},
      {.name = "batch_norm_relu, large",
       .function = [](Inputs in) { return batch_norm_relu(in[0], in[1], in[2]).y; },
       .inputs = {uniform({4, 12, 12, 72}), exact(uniform({72})), exact(uniform({72}))},
       .double_backward = false,
       .large = true},
      {.name = "batch_norm_add_relu",
       .function = [](Inputs in) { return batch_norm_add_relu(in[0], in[3], in[1], in[2]).y; },
       .inputs = {uniform({2, 2, 3, 2}), uniform({2}), uniform({2}), uniform({2, 2, 3, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y = batch_norm_formula(in);
             for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::max(y[i] + in[3][i], 0.0);
             return y;
           },
       .saves = {{.inputs = {0, 1}, .outputs = {0, 1, 2}}},
       .double_backward = false},
      {.name = "batch_norm_add_relu with a frozen residual",
       .function = [](Inputs in) { return batch_norm_add_relu(in[0], in[3], in[1], in[2]).y; },
       .inputs = {uniform({5, 2}), uniform({2}), uniform({2}), frozen(uniform({5, 2}))},
       .double_backward = false},
      {.name = "batch_norm_add_relu, large, of which only the residual has a gradient",
       .function = [](Inputs in) { return batch_norm_add_relu(in[0], in[3], in[1], in[2]).y; },
       .inputs = {frozen(uniform({4, 12, 12, 72})), exact(uniform({72})), exact(uniform({72})),
                  uniform({4, 12, 12, 72})},
       .double_backward = false,
       .large = true},
      {.name = "batch_norm_add_relu, large",
       .function = [](Inputs in) { return batch_norm_add_relu(in[0], in[3], in[1], in[2]).y; },
       .inputs = {uniform({4, 12, 12, 72}), exact(uniform({72})), exact(uniform({72})),
                  uniform({4, 12, 12, 72})},
       .double_backward = false,
       .large = true},
      {.name = "batch_norm_inference",
       .function = [](Inputs in) { return batch_norm_inference(in[0], in[1], in[2], in[3], in[4]); },
       .inputs = {uniform({2, 2, 2}), exact(uniform({2})), exact(uniform({2})), exact(frozen(uniform({2}))),
                  exact(frozen(uniform({2}, 0.5, 2)))},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             for (std::size_t i = 0; i < in[0].size(); ++i)
               y.push_back((in[0][i] - in[3][i % 2]) / std::sqrt(in[4][i % 2] + 1e-5) * in[1][i % 2] +
                           in[2][i % 2]);
             return y;
           },
       .saves = {{.inputs = {0, 1, 3, 4}},
                 {.frozen = 1, .inputs = {1, 4}},
                 {.frozen = 0, .inputs = {0, 3, 4}}}},
      {.name = "layer_norm",
       .function = [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       .inputs = {uniform({2, 2, 4}), exact(uniform({4})), exact(uniform({4}))},
       .reference = layer_norm_formula,
       .saves = {{.inputs = {0, 1}, .outputs = {1, 2}}},
       .double_backward = false},
      {.name = "layer_norm with frozen weights",
       .function = [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       .inputs = {uniform({3, 4}), exact(frozen(uniform({4}))), exact(frozen(uniform({4})))},
       .double_backward = false},
      {.name = "layer_norm with a frozen input",
       .function = [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       .inputs = {frozen(uniform({3, 4})), exact(uniform({4})), exact(uniform({4}))},
       .double_backward = false},
      {.name = "layer_norm, large",
       .function = [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       .inputs = {uniform({300, 203}), exact(uniform({203})), exact(uniform({203}))},
       .reference = layer_norm_formula,
       .double_backward = false,
       .large = true},
      {.name = "rms_norm",
       .function = [](Inputs in) { return rms_norm(in[0], in[1]); },
       .inputs = {uniform({2, 2, 4}), exact(uniform({4}))},
       .reference = rms_norm_formula,
       .saves = {{.inputs = {0, 1}, .outputs = {1}}},
       .double_backward = false},
      {.name = "rms_norm with a frozen weight",
       .function = [](Inputs in) { return rms_norm(in[0], in[1], 1e-2); },
       .inputs = {uniform({3, 4}), exact(frozen(uniform({4})))},
       .double_backward = false},
      {.name = "rms_norm with a frozen input, its weight of x's dtype",
       .function = [](Inputs in) { return rms_norm(in[0], in[1]); },
       .inputs = {frozen(uniform({3, 4})), uniform({4})},
       .double_backward = false},
      {.name = "rms_norm, large",
       .function = [](Inputs in) { return rms_norm(in[0], in[1]); },
       .inputs = {uniform({300, 203}), exact(uniform({203}))},
       .reference = rms_norm_formula,
       .double_backward = false,
       .large = true},
      {.name = "softmax of rows",
       .function = [](Inputs in) { return softmax(in[0], -1); },
       .inputs = {uniform({3, 4}, -3, 3)},
       .reference = [](const std::vector<Values>& in) { return softmax_formula(in[0], 4, 1); },
       .saves = {{.outputs = {0}}}},
      {.name = "softmax of the middle dimension",
       .function = [](Inputs in) { return softmax(in[0], 1); },
       .inputs = {uniform({2, 3, 2})},
       .reference = [](const std::vector<Values>& in) { return softmax_formula(in[0], 3, 2); }},
      {.name = "softmax, large",
       .function = [](Inputs in) { return softmax(in[0], -1); },
       .inputs = {uniform({300, 203}, -3, 3)},
       .reference = [](const std::vector<Values>& in) { return softmax_formula(in[0], 203, 1); },
       .large = true},
      {.name = "log_softmax",
       .function = [](Inputs in) { return log_softmax(in[0], 0); },
       .inputs = {uniform({4, 2})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y = softmax_formula(in[0], 4, 2);
             for (double& v : y) v = std::log(v);
             return y;
           },
       .saves = {{.outputs = {0}}}},
      {.name = "causal_softmax",
       .function = [](Inputs in) { return causal_softmax(in[0]); },
       .inputs = {uniform({2, 3, 4})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y(in[0].size());
             for (std::size_t row = 0; row < 6; ++row) {
               double sum = 0;
               for (std::size_t j = 0; j <= row % 3; ++j) sum += std::exp(in[0][row * 4 + j]);
               for (std::size_t j = 0; j <= row % 3; ++j) y[row * 4 + j] = std::exp(in[0][row * 4 + j]) / sum;
             }
             return y;
           }},
      {.name = "dropout",
       .function =
           [](Inputs in) {
             manual_seed(5);
             return dropout(in[0], 0.4);
           },
       .inputs = {uniform({5, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             Values y;
             for (std::size_t i = 0; i < in[0].size(); ++i)
               y.push_back(uniform_from_word(random_word(5, i)) < 0.4F ? 0 : in[0][i] / 0.6);
             return y;
           },
       .saves = {{}}},
      {.name = "dropout, large",
       .function =
           [](Inputs in) {
             manual_seed(5);
             return dropout(in[0], 0.25);
           },
       .inputs = {uniform({301, 303})},
       .large = true},
  };
}

}  // namespace reprise::test
