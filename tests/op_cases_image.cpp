// Convolutions and pooling.
#include <cmath>

#include "reprise/ops/ops.h"
#include "reprise/tests/op_case.h"

namespace reprise::test {
namespace {

// The definition, place by place (ops/conv2d.h).
Values conv2d_formula(const Values& x, const Shape& xs, const Values& weight, const Shape& ws,
                      const Values* bias, const Conv2dFunctionOptions& o) {
  const auto at = [](const Shape& s, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
    return static_cast<std::size_t>(((a * s[1] + b) * s[2] + c) * s[3] + d);
  };
  const std::int64_t p = (xs[1] + 2 * o.padding.h - o.dilation.h * (ws[1] - 1) - 1) / o.stride.h + 1;
  const std::int64_t q = (xs[2] + 2 * o.padding.w - o.dilation.w * (ws[2] - 1) - 1) / o.stride.w + 1;
  Values y;
  for (std::int64_t n = 0; n < xs[0]; ++n)
    for (std::int64_t a = 0; a < p; ++a)
      for (std::int64_t b = 0; b < q; ++b)
        for (std::int64_t out = 0; out < ws[0]; ++out) {
          double sum = bias ? (*bias)[static_cast<std::size_t>(out)] : 0;
          for (std::int64_t i = 0; i < ws[1]; ++i)
            for (std::int64_t j = 0; j < ws[2]; ++j) {
              const std::int64_t h = a * o.stride.h + i * o.dilation.h - o.padding.h;
              const std::int64_t w = b * o.stride.w + j * o.dilation.w - o.padding.w;
              if (h < 0 || h >= xs[1] || w < 0 || w >= xs[2]) continue;
              for (std::int64_t c = 0; c < ws[3]; ++c)
                sum +=
                    x[at(xs, n, h, w, out / (ws[0] / o.groups) * ws[3] + c)] * weight[at(ws, out, i, j, c)];
            }
          y.push_back(sum);
        }
  return y;
}

OpCase conv2d_case(std::string name, const Shape& x, const Shape& weight, bool bias,
                   Conv2dFunctionOptions options) {
  OpCase result;
  result.name = std::move(name);
  result.function = [=](Inputs in) { return conv2d(in[0], in[1], bias ? in[2] : Tensor(), options); };
  result.inputs = {uniform(x), uniform(weight)};
  if (bias) result.inputs.push_back(uniform({weight[0]}));
  result.reference = [=](const std::vector<Values>& in) {
    return conv2d_formula(in[0], x, in[1], weight, bias ? &in[2] : nullptr, options);
  };
  result.large = x.numel() * weight.numel() > 20000;
  return result;
}

// Values of a window, per place of y and channel, handed to `combine` as a list; outside the image nothing.
template <class Combine>
Values pool_formula(const Values& x, const Shape& s, Pair kernel, Pair stride, Pair padding,
                    Combine combine) {
  Values y;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t a = 0; a * stride.h + kernel.h <= s[1] + 2 * padding.h; ++a)
      for (std::int64_t b = 0; b * stride.w + kernel.w <= s[2] + 2 * padding.w; ++b)
        for (std::int64_t c = 0; c < s[3]; ++c) {
          Values window;
          for (std::int64_t h = a * stride.h - padding.h; h < a * stride.h - padding.h + kernel.h; ++h)
            for (std::int64_t w = b * stride.w - padding.w; w < b * stride.w - padding.w + kernel.w; ++w)
              if (h >= 0 && h < s[1] && w >= 0 && w < s[2])
                window.push_back(x[static_cast<std::size_t>(((n * s[1] + h) * s[2] + w) * s[3] + c)]);
          y.push_back(combine(window));
        }
  return y;
}

double highest(const Values& window) {
  double result = window[0];
  for (const double v : window) result = std::max(result, v);
  return result;
}

double highest_above_zero(const Values& window) { return std::max(highest(window), 0.0); }

double total(const Values& window) {
  double result = 0;
  for (const double v : window) result += v;
  return result;
}

OpCase max_pool2d_case(std::string name, const Shape& x, Pool2dOptions options, bool relu = false) {
  OpCase result;
  result.name = std::move(name);
  result.function = [=](Inputs in) {
    return relu ? max_pool2d_relu(in[0], options) : max_pool2d(in[0], options);
  };
  result.inputs = {distinct(x)};
  result.reference = [=](const std::vector<Values>& in) {
    return pool_formula(in[0], x, options.kernel_size, options.stride.value_or(options.kernel_size),
                        options.padding, relu ? highest_above_zero : highest);
  };
  result.saves = {{.outputs = {1}}};
  result.double_backward = false;
  result.large = x.numel() > 500;
  return result;
}

OpCase avg_pool2d_case(std::string name, const Shape& x, Pool2dOptions options) {
  OpCase result;
  result.name = std::move(name);
  result.function = [=](Inputs in) { return avg_pool2d(in[0], options); };
  result.inputs = {uniform(x)};
  const auto area = static_cast<double>(options.kernel_size.h * options.kernel_size.w);
  result.reference = [=](const std::vector<Values>& in) {
    return pool_formula(in[0], x, options.kernel_size, options.stride.value_or(options.kernel_size),
                        options.padding, [=](const Values& window) { return total(window) / area; });
  };
  result.saves = {{}};
  result.large = x.numel() > 500;
  return result;
}

}  // namespace

std::vector<OpCase> image_cases() {
  std::vector<OpCase> cases = {
      conv2d_case("conv2d 3x3", {2, 4, 5, 2}, {3, 3, 3, 2}, true, {.padding = 1}),
      conv2d_case("conv2d 1x1 without a bias", {2, 3, 3, 3}, {2, 1, 1, 3}, false, {}),
      conv2d_case("conv2d 1x1 with stride", {1, 5, 4, 2}, {3, 1, 1, 2}, false, {.stride = 2}),
      conv2d_case("conv2d with stride that leaves rows over", {1, 6, 6, 2}, {2, 3, 3, 2}, false,
                  {.stride = 2}),
      conv2d_case("conv2d with dilation", {1, 6, 5, 2}, {2, 2, 2, 2}, true,
                  {.padding = {1, 2}, .dilation = {2, 3}}),
      conv2d_case("conv2d in groups", {1, 4, 4, 4}, {6, 3, 2, 2}, true, {.padding = {1, 0}, .groups = 2}),
      conv2d_case("conv2d depthwise", {1, 4, 4, 3}, {3, 3, 3, 1}, false,
                  {.stride = {1, 2}, .padding = 1, .groups = 3}),
      conv2d_case("conv2d, kernel as large as the image", {2, 3, 3, 2}, {2, 3, 3, 2}, true, {}),
      conv2d_case("conv2d 3x3, large", {3, 14, 13, 20}, {24, 3, 3, 20}, true, {.padding = 1}),
      conv2d_case("conv2d 7x7 with stride, large", {2, 30, 30, 3}, {16, 7, 7, 3}, false,
                  {.stride = 2, .padding = 3}),
      conv2d_case("conv2d in groups, large", {2, 12, 12, 32}, {32, 3, 3, 8}, false,
                  {.padding = 1, .groups = 4}),
      max_pool2d_case("max_pool2d", {2, 4, 4, 2}, {.kernel_size = 2}),
      max_pool2d_case("max_pool2d, overlapping, padded", {1, 6, 5, 3},
                      {.kernel_size = 3, .stride = 2, .padding = 1}),
      max_pool2d_case("max_pool2d with a large window", {1, 17, 17, 1}, {.kernel_size = 17}),
      max_pool2d_case("max_pool2d_relu", {1, 5, 5, 3}, {.kernel_size = 2},
                      true),  // an odd count: no input is 0
      max_pool2d_case("max_pool2d_relu with a large window", {1, 17, 17, 1}, {.kernel_size = 17}, true),
      max_pool2d_case("max_pool2d_relu, large", {4, 24, 22, 40},
                      {.kernel_size = 3, .stride = 2, .padding = 1}, true),
      max_pool2d_case("max_pool2d, large", {4, 24, 22, 40}, {.kernel_size = 3, .stride = 2, .padding = 1}),
      avg_pool2d_case("avg_pool2d", {2, 4, 4, 2}, {.kernel_size = 2}),
      avg_pool2d_case("avg_pool2d, overlapping, padded", {1, 6, 5, 2},
                      {.kernel_size = {3, 2}, .stride = 2, .padding = 1}),
      avg_pool2d_case("avg_pool2d, large", {4, 24, 22, 40}, {.kernel_size = 3, .stride = 2, .padding = 1}),
  };
  cases[0].saves = {{.inputs = {0, 1}},
                    {.frozen = 0, .inputs = {0}},
                    {.frozen = 1, .inputs = {1}},
                    {.frozen = 2, .inputs = {0, 1}}};
  cases.push_back({.name = "adaptive_avg_pool2d to 1x1",
                   .function = [](Inputs in) { return adaptive_avg_pool2d(in[0], 1); },
                   .inputs = {uniform({2, 3, 2, 2})},
                   .reference =
                       [](const std::vector<Values>& in) {
                         return pool_formula(in[0], {2, 3, 2, 2}, {3, 2}, 1, 0,
                                             [](const Values& window) { return total(window) / 6; });
                       },
                   .saves = {{}}});
  cases.push_back({.name = "adaptive_avg_pool2d with windows that overlap",
                   .function =
                       [](Inputs in) {
                         return adaptive_avg_pool2d(in[0], {3, 2});
                       },
                   .inputs = {uniform({1, 5, 3, 2})}});
  cases.push_back({.name = "adaptive_avg_pool2d to 1x1, large",
                   .function = [](Inputs in) { return adaptive_avg_pool2d(in[0], 1); },
                   .inputs = {uniform({4, 20, 20, 40})},
                   .large = true});
  // The gradients by themselves: their own gradients are tested as any op's.
  const Conv2dFunctionOptions options = {.stride = 2, .padding = 1, .groups = 2};
  cases.push_back(
      {.name = "conv2d_backward_input",
       .function =
           [=](Inputs in) {
             return conv2d_backward_input(in[0], in[1], {1, 5, 6, 4}, options);
           },
       .inputs = {uniform({1, 3, 3, 4}), uniform({4, 3, 3, 2})},
       .saves = {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0}}, {.frozen = 1, .inputs = {1}}}});
  cases.push_back(
      {.name = "conv2d_backward_weight",
       .function = [=](Inputs in) { return conv2d_backward_weight(in[0], in[1], 3, options); },
       .inputs = {uniform({1, 3, 3, 4}), uniform({1, 5, 6, 4})},
       .saves = {{.inputs = {0, 1}}, {.frozen = 0, .inputs = {0}}, {.frozen = 1, .inputs = {1}}}});
  cases.push_back({.name = "conv2d_backward_weight_and_bias",
                   .function =
                       [=](Inputs in) {
                         auto [weight, bias] = conv2d_backward_weight_and_bias(in[0], in[1], 3, options);
                         return std::move(weight) * reshape(std::move(bias), {4, 1, 1, 1});
                       },
                   .inputs = {uniform({1, 3, 3, 4}), uniform({1, 5, 6, 4})}});
  cases.push_back(
      {.name = "conv2d_backward_weight_and_bias, only the bias's gradient",
       .function =
           [=](Inputs in) { return conv2d_backward_weight_and_bias(in[0], in[1], 3, options).bias + 0.0; },
       .inputs = {uniform({1, 3, 3, 4}), frozen(uniform({1, 5, 6, 4}))}});
  return cases;
}

}  // namespace reprise::test
