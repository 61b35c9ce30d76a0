// Element-wise functions of one tensor, and their gradients.
#include "reprise/cuda/elementwise.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/ops.h"

namespace reprise::cuda {
namespace {

using Workspace = std::span<std::byte>;

void abs(const UnaryArgs& args, Workspace) {
  map_floating("abs", args.x, args.y, [] __device__(float x) { return fabsf(x); });
}
void abs_backward(const GradientArgs& args, Workspace) {
  map_gradient("abs_backward", args, [] __device__(float gradient, float x) {
    return x > 0 ? gradient : x < 0 ? -gradient : 0.0F;
  });
}
void exp(const UnaryArgs& args, Workspace) {
  map_floating("exp", args.x, args.y, [] __device__(float x) { return expf(x); });
}
void log(const UnaryArgs& args, Workspace) {
  map_floating("log", args.x, args.y, [] __device__(float x) { return logf(x); });
}
void round(const UnaryArgs& args, Workspace) {
  map_floating("round", args.x, args.y, [] __device__(float x) { return nearbyintf(x); });
}
void sqrt(const UnaryArgs& args, Workspace) {
  map_floating("sqrt", args.x, args.y, [] __device__(float x) { return sqrtf(x); });
}
void softplus(const UnaryArgs& args, Workspace) {
  map_floating("softplus", args.x, args.y,
               [] __device__(float x) { return (x > 0 ? x : 0.0F) + log1pf(expf(-fabsf(x))); });
}
void neg(const UnaryArgs& args, Workspace) {
  map_number("neg", args.x, args.y, [] __device__(auto x) { return -x; });
}
void pow(const ScalarArgs& args, Workspace) {
  const auto exponent = static_cast<float>(args.value);
  map_floating("pow", args.x, args.y, [exponent] __device__(float x) { return powf(x, exponent); });
}

void relu(const UnaryArgs& args, Workspace) {  // NaN stays
  map_floating("relu", args.x, args.y, [] __device__(float x) { return x < 0 ? 0.0F : x; });
}
void relu_backward(const GradientArgs& args, Workspace) {
  map_gradient("relu_backward", args,
               [] __device__(float gradient, float y) { return y > 0 ? gradient : 0.0F; });
}
void leaky_relu(const ScalarArgs& args, Workspace) {
  const auto slope = static_cast<float>(args.value);
  map_floating("leaky_relu", args.x, args.y, [slope] __device__(float x) { return x > 0 ? x : slope * x; });
}
void leaky_relu_backward(const LeakyReluBackwardArgs& args, Workspace) {
  const auto slope = static_cast<float>(args.negative_slope);
  map_gradient(
      "leaky_relu_backward", {args.gradient, args.saved, args.dx},
      [slope] __device__(float gradient, float saved) { return saved > 0 ? gradient : slope * gradient; });
}
void clamp(const ClampArgs& args, Workspace) {
  const auto min = static_cast<float>(args.min), max = static_cast<float>(args.max);
  map_floating("clamp", args.x, args.y, [=] __device__(float x) {
    return x < min ? min : x > max ? max : x;
  });
}
void clamp_backward(const ClampBackwardArgs& args, Workspace) {
  const auto min = static_cast<float>(args.min), max = static_cast<float>(args.max);
  map_gradient("clamp_backward", {args.gradient, args.x, args.dx},
               [=] __device__(float gradient, float x) { return x >= min && x <= max ? gradient : 0.0F; });
}

void sigmoid(const UnaryArgs& args, Workspace) {
  map_floating("sigmoid", args.x, args.y, [] __device__(float x) { return 1 / (1 + expf(-x)); });
}
void sigmoid_backward(const GradientArgs& args, Workspace) {
  map_gradient("sigmoid_backward", args,
               [] __device__(float gradient, float y) { return gradient * y * (1 - y); });
}
void silu(const UnaryArgs& args, Workspace) {
  map_floating("silu", args.x, args.y, [] __device__(float x) { return x / (1 + expf(-x)); });
}
void silu_backward(const GradientArgs& args, Workspace) {
  map_gradient("silu_backward", args, [] __device__(float gradient, float x) {
    const float s = 1 / (1 + expf(-x));
    return gradient * (s + x * s * (1 - s));
  });
}
void tanh(const UnaryArgs& args, Workspace) {
  map_floating("tanh", args.x, args.y, [] __device__(float x) { return tanhf(x); });
}
void tanh_backward(const GradientArgs& args, Workspace) {
  map_gradient("tanh_backward", args,
               [] __device__(float gradient, float y) { return gradient * (1 - y * y); });
}

constexpr float kRootTwoOverPi = 0.7978845608028654F;  // sqrt(2 / pi)
constexpr float kRootHalf = 0.7071067811865476F;       // 1 / sqrt(2)
constexpr float kDensityAtZero = 0.3989422804014327F;  // 1 / sqrt(2 pi)
constexpr float kCubic = 0.044715F;

void gelu(const GeluArgs& args, Workspace) {
  if (args.approximate == Approximate::none)
    map_floating("gelu", args.x, args.y,
                 [] __device__(float x) { return 0.5F * x * (1 + erff(x * kRootHalf)); });
  else
    map_floating("gelu_tanh", args.x, args.y, [] __device__(float x) {
      return 0.5F * x * (1 + tanhf(kRootTwoOverPi * (x + kCubic * x * x * x)));
    });
}
void gelu_backward(const GeluBackwardArgs& args, Workspace) {
  const GradientArgs operands{args.gradient, args.x, args.dx};
  if (args.approximate == Approximate::none)
    map_gradient("gelu_backward", operands, [] __device__(float gradient, float x) {
      return gradient * (0.5F * (1 + erff(x * kRootHalf)) + x * kDensityAtZero * expf(-0.5F * x * x));
    });
  else
    map_gradient("gelu_tanh_backward", operands, [] __device__(float gradient, float x) {
      const float t = tanhf(kRootTwoOverPi * (x + kCubic * x * x * x));
      const float slope = kRootTwoOverPi * (1 + 3 * kCubic * x * x);
      return gradient * 0.5F * (1 + t + x * (1 - t * t) * slope);
    });
}

}  // namespace

void fill_activations() {
  fill_floating(abs_slot, abs);
  fill_floating(abs_backward_slot, abs_backward);
  fill_floating(exp_slot, exp);
  fill_floating(log_slot, log);
  fill_floating(round_slot, round);
  fill_floating(sqrt_slot, sqrt);
  fill_floating(softplus_slot, softplus);
  fill_numbers(neg_slot, neg);
  fill_floating(pow_slot, pow);
  fill_floating(relu_slot, relu);
  fill_floating(relu_backward_slot, relu_backward);
  fill_floating(leaky_relu_slot, leaky_relu);
  fill_floating(leaky_relu_backward_slot, leaky_relu_backward);
  fill_floating(clamp_slot, clamp);
  fill_floating(clamp_backward_slot, clamp_backward);
  fill_floating(sigmoid_slot, sigmoid);
  fill_floating(sigmoid_backward_slot, sigmoid_backward);
  fill_floating(silu_slot, silu);
  fill_floating(silu_backward_slot, silu_backward);
  fill_floating(tanh_slot, tanh);
  fill_floating(tanh_backward_slot, tanh_backward);
  fill_floating(gelu_slot, gelu);
  fill_floating(gelu_backward_slot, gelu_backward);
}

}  // namespace reprise::cuda
