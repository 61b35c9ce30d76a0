// Losses.
#include <cmath>

#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

Values cross_entropy_formula(const std::vector<Values>& in, double ignored, double smoothing) {
  const std::size_t positions = in[1].size(), classes = in[0].size() / positions;
  double total = 0, count = 0;
  for (std::size_t i = 0; i < positions; ++i) {
    if (in[1][i] == ignored) continue;
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) sum += std::exp(in[0][i * classes + c]);
    for (std::size_t c = 0; c < classes; ++c) {
      const double wanted =
          smoothing / static_cast<double>(classes) + (static_cast<double>(c) == in[1][i] ? 1 - smoothing : 0);
      total -= wanted * (in[0][i * classes + c] - std::log(sum));
    }
    count += 1;
  }
  return {total / count};
}

// Of x, w and targets.
Values linear_cross_entropy_formula(const std::vector<Values>& in, double ignored, double smoothing) {
  const std::size_t positions = in[2].size(), width = in[0].size() / positions,
                    classes = in[1].size() / width;
  Values logits(positions * classes);
  for (std::size_t i = 0; i < positions; ++i)
    for (std::size_t c = 0; c < classes; ++c)
      for (std::size_t k = 0; k < width; ++k)
        logits[i * classes + c] += in[0][i * width + k] * in[1][c * width + k];
  return cross_entropy_formula({logits, in[2]}, ignored, smoothing);
}

}  // namespace

std::vector<OpCase> loss_cases() {
  return {
      {.name = "cross_entropy",
       .function = [](Inputs in) { return cross_entropy(in[0], in[1]); },
       .inputs = {uniform({2, 2, 3}, -3, 3), integers({2, 2}, 0, 3)},
       .reference = [](const std::vector<Values>& in) { return cross_entropy_formula(in, -100, 0); },
       .saves = {{.inputs = {0, 1}, .outputs = {1}}},
       .double_backward = false},
      {.name = "cross_entropy, smoothed, some ignored",
       .function =
           [](Inputs in) { return cross_entropy(in[0], in[1], {.ignore_index = 1, .label_smoothing = 0.2}); },
       .inputs = {uniform({9, 3}, -3, 3), integers({9}, 0, 3)},
       .reference = [](const std::vector<Values>& in) { return cross_entropy_formula(in, 1, 0.2); },
       .double_backward = false},
      {.name = "cross_entropy, large",
       .function = [](Inputs in) { return cross_entropy(in[0], in[1]); },
       .inputs = {uniform({500, 65}, -3, 3), integers({500}, 0, 65)},
       .reference = [](const std::vector<Values>& in) { return cross_entropy_formula(in, -100, 0); },
       .double_backward = false,
       .large = true},
      {.name = "linear_cross_entropy",
       .function = [](Inputs in) { return linear_cross_entropy(in[0], in[1], in[2]); },
       .inputs = {uniform({2, 2, 3}, -3, 3), uniform({4, 3}), integers({2, 2}, 0, 4)},
       .reference = [](const std::vector<Values>& in) { return linear_cross_entropy_formula(in, -100, 0); },
       .saves = {{.inputs = {0, 1, 2}, .outputs = {1}}},
       .double_backward = false},
      {.name = "linear_cross_entropy, smoothed, some ignored, a frozen weight",
       .function =
           [](Inputs in) {
             return linear_cross_entropy(in[0], in[1], in[2], {.ignore_index = 1, .label_smoothing = 0.2});
           },
       .inputs = {uniform({9, 3}, -3, 3), frozen(uniform({4, 3})), integers({9}, 0, 4)},
       .reference = [](const std::vector<Values>& in) { return linear_cross_entropy_formula(in, 1, 0.2); },
       .double_backward = false},
      {.name = "linear_cross_entropy with a frozen input",
       .function = [](Inputs in) { return linear_cross_entropy(in[0], in[1], in[2]); },
       .inputs = {frozen(uniform({70, 3}, -3, 3)), uniform({4, 3}), integers({70}, 0, 4)},
       .double_backward = false},
      {.name = "linear_cross_entropy, large, several chunks",
       .function =
           [](Inputs in) {
             return linear_cross_entropy(in[0], in[1], in[2], {.ignore_index = 7, .label_smoothing = 0.1});
           },
       .inputs = {uniform({2500, 24}, -2, 2), uniform({65, 24}), integers({2500}, 0, 65)},
       .reference = [](const std::vector<Values>& in) { return linear_cross_entropy_formula(in, 7, 0.1); },
       .double_backward = false,
       .large = true},
      {.name = "nll_loss",
       .function = [](Inputs in) { return nll_loss(in[0], in[1]); },
       .inputs = {uniform({4, 3}), integers({4}, 0, 3)},
       .reference =
           [](const std::vector<Values>& in) {
             double total = 0;
             for (std::size_t i = 0; i < 4; ++i) total -= in[0][i * 3 + static_cast<std::size_t>(in[1][i])];
             return Values{total / 4};
           },
       .saves = {{.inputs = {1}}}},
      {.name = "mse_loss",
       .function = [](Inputs in) { return mse_loss(in[0], in[1]); },
       .inputs = {uniform({2, 3}), uniform({2, 3})},
       .reference =
           [](const std::vector<Values>& in) {
             double total = 0;
             for (std::size_t i = 0; i < 6; ++i) total += (in[0][i] - in[1][i]) * (in[0][i] - in[1][i]);
             return Values{total / 6};
           },
       .saves = {{.inputs = {0, 1}}}},
      {.name = "mse_loss, large",
       .function = [](Inputs in) { return mse_loss(in[0], in[1]); },
       .inputs = {uniform({300, 200}), uniform({300, 200})},
       .large = true},
      {.name = "binary_cross_entropy_with_logits",
       .function = [](Inputs in) { return binary_cross_entropy_with_logits(in[0], in[1]); },
       .inputs = {uniform({2, 3}, -5, 5), uniform({2, 3}, 0, 1)},
       .reference =
           [](const std::vector<Values>& in) {
             double total = 0;
             for (std::size_t i = 0; i < 6; ++i) {
               const double p = 1 / (1 + std::exp(-in[0][i]));
               total -= in[1][i] * std::log(p) + (1 - in[1][i]) * std::log(1 - p);
             }
             return Values{total / 6};
           },
       .saves = {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0}}}},
      {.name = "binary_cross_entropy_with_logits, large",
       .function = [](Inputs in) { return binary_cross_entropy_with_logits(in[0], in[1]); },
       .inputs = {uniform({300, 200}, -5, 5), uniform({300, 200}, 0, 1)},
       .large = true},
  };
}

}  // namespace reprise::test
