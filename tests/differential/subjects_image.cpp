// Convolutions and pooling.
#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

nlohmann::json to_json(Pair pair) { return {pair.h, pair.w}; }

struct DrawnConvolution {
  Shape x, weight, y;
  Conv2dFunctionOptions options;
  Pair kernel = 1;
  nlohmann::json json;
};
DrawnConvolution draw_convolution(Draw& draw) {
  const auto pair = [&](std::int64_t low, std::int64_t high) {
    const std::int64_t h = draw.whole(low, high);
    return draw.chance(0.7) ? Pair(h) : Pair(h, draw.whole(low, high));
  };
  DrawnConvolution drawn;
  drawn.kernel = draw.chance(0.3) ? Pair(1) : draw.chance(0.4) ? Pair(3) : pair(1, 5);
  Conv2dFunctionOptions& o = drawn.options;
  o = {.stride = draw.chance(0.5) ? Pair(1) : pair(1, 3),
       .padding = draw.chance(0.4) ? Pair(0) : pair(0, 2),
       .dilation = draw.chance(0.8) ? Pair(1) : pair(1, 2),
       .groups = draw.chance(0.75) ? 1 : draw.whole(2, 4)};
  const bool depthwise = draw.chance(0.1);
  const std::int64_t in = depthwise ? 1 : draw.positive_extent(40),
                     out = depthwise ? 1 : draw.positive_extent(40);
  if (depthwise) o.groups = draw.whole(2, 40);
  const auto extent = [&](std::int64_t kernel, std::int64_t padding, std::int64_t dilation) {
    return std::max<std::int64_t>(1, dilation * (kernel - 1) + 1 - 2 * padding) + draw.whole(0, 11);
  };
  drawn.x = {draw.chance(0.03) ? 0 : draw.whole(1, 3), extent(drawn.kernel.h, o.padding.h, o.dilation.h),
             extent(drawn.kernel.w, o.padding.w, o.dilation.w), in * o.groups};
  drawn.weight = {out * o.groups, drawn.kernel.h, drawn.kernel.w, in};
  const auto places = [](std::int64_t x, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                         std::int64_t dilation) {
    return (x + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  };
  drawn.y = {drawn.x[0], places(drawn.x[1], drawn.kernel.h, o.stride.h, o.padding.h, o.dilation.h),
             places(drawn.x[2], drawn.kernel.w, o.stride.w, o.padding.w, o.dilation.w), drawn.weight[0]};
  drawn.json = {{"stride", to_json(o.stride)},         {"padding", to_json(o.padding)},
                {"dilation", to_json(o.dilation)},     {"groups", o.groups},
                {"x", differential::to_json(drawn.x)}, {"weight", differential::to_json(drawn.weight)}};
  return drawn;
}

DrawnCase convolution_case(const DrawnConvolution& drawn, std::vector<Tensor> inputs) {
  return {
      .inputs = std::move(inputs), .options = drawn.json, .terms = true, .library = true, .tolerance = 3e-6};
}

DrawnCase draw_conv2d(Draw& draw, DType dtype) {
  const DrawnConvolution drawn = draw_convolution(draw);
  const bool bias = draw.chance(0.5);
  DrawnCase result = convolution_case(drawn, {draw.input(drawn.x, dtype), draw.input(drawn.weight, dtype)});
  if (bias) result.inputs.push_back(draw.input({drawn.weight[0]}, dtype));
  result.function = [=, options = drawn.options](Inputs in) {
    return std::vector{conv2d(in[0], in[1], bias ? in[2] : Tensor(), options)};
  };
  return result;
}
DrawnCase draw_conv2d_backward_input(Draw& draw, DType dtype) {
  const DrawnConvolution drawn = draw_convolution(draw);
  DrawnCase result = convolution_case(drawn, {draw.input(drawn.y, dtype), draw.input(drawn.weight, dtype)});
  result.function = [=](Inputs in) {
    return std::vector{conv2d_backward_input(in[0], in[1], drawn.x, drawn.options)};
  };
  return result;
}
DrawnCase draw_conv2d_backward_weight(Draw& draw, DType dtype) {
  const DrawnConvolution drawn = draw_convolution(draw);
  DrawnCase result = convolution_case(drawn, {draw.input(drawn.y, dtype), draw.input(drawn.x, dtype)});
  result.function = [=](Inputs in) {
    return std::vector{conv2d_backward_weight(in[0], in[1], drawn.kernel, drawn.options)};
  };
  return result;
}
DrawnCase draw_conv2d_backward_weight_and_bias(Draw& draw, DType dtype) {
  const DrawnConvolution drawn = draw_convolution(draw);
  DrawnCase result = convolution_case(drawn, {draw.input(drawn.y, dtype), draw.input(drawn.x, dtype)});
  result.differentiated = static_cast<int>(draw.whole(0, 1));
  result.function = [=](Inputs in) {
    Conv2dWeightGradients both = conv2d_backward_weight_and_bias(in[0], in[1], drawn.kernel, drawn.options);
    return std::vector{std::move(both.weight), std::move(both.bias)};
  };
  return result;
}

struct DrawnPool {
  Shape x;
  Pool2dOptions options;
  nlohmann::json json;
};
DrawnPool draw_pool(Draw& draw) {
  const Pair kernel(draw.whole(1, 4), draw.whole(1, 4));
  DrawnPool drawn;
  drawn.options = {.kernel_size = kernel,
                   .padding = {draw.whole(0, kernel.h / 2), draw.whole(0, kernel.w / 2)}};
  Pair stride = kernel;
  if (draw.chance(0.6)) drawn.options.stride = stride = {draw.whole(1, 3), draw.whole(1, 3)};
  drawn.x = {draw.chance(0.03) ? 0 : draw.whole(1, 3), kernel.h + draw.whole(0, 9),
             kernel.w + draw.whole(0, 9), draw.positive_extent(70)};
  drawn.json = {
      {"kernel", to_json(kernel)}, {"stride", to_json(stride)}, {"padding", to_json(drawn.options.padding)}};
  return drawn;
}
Subject pool(const char* op, Tensor (*function)(Tensor, Pool2dOptions), bool double_backward) {
  return {op, kFloating, [=](Draw& draw, DType dtype) {
            const DrawnPool drawn = draw_pool(draw);
            return DrawnCase{
                .inputs = {draw.input(drawn.x, dtype)},
                .function = [=, o = drawn.options](Inputs in) { return std::vector{function(in[0], o)}; },
                .options = drawn.json,
                .double_backward = double_backward,
                .terms = true};
          }};
}
DrawnCase draw_adaptive_avg_pool2d(Draw& draw, DType dtype) {
  const Shape x({draw.whole(1, 3), draw.whole(1, 12), draw.whole(1, 12), draw.positive_extent(70)});
  const Pair size(draw.whole(1, 8), draw.chance(0.5) ? 1 : draw.whole(1, 14));
  return {.inputs = {draw.input(x, dtype)},
          .function = [=](Inputs in) { return std::vector{adaptive_avg_pool2d(in[0], size)}; },
          .options = {{"size", to_json(size)}},
          .terms = true};
}

}  // namespace

std::vector<Subject> image_subjects() {
  return {
      {"conv2d", kFloating, draw_conv2d},
      {"conv2d_backward_input", kFloating, draw_conv2d_backward_input},
      {"conv2d_backward_weight", kFloating, draw_conv2d_backward_weight},
      {"conv2d_backward_weight_and_bias", kFloating, draw_conv2d_backward_weight_and_bias},
      pool("max_pool2d", max_pool2d, false),
      pool("max_pool2d_relu", max_pool2d_relu, false),
      pool("avg_pool2d", avg_pool2d, true),
      {"adaptive_avg_pool2d", kFloating, draw_adaptive_avg_pool2d},
  };
}

}  // namespace reprise::test::differential
