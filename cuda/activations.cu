// Element-wise functions of one tensor, and their gradients.
#include "reprise/cuda/elementwise.cuh"
#include "reprise/cuda/gates.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/ops.h"

namespace reprise::cuda {
namespace {

using Workspace = std::span<std::byte>;

void abs(const UnaryArgs& args, Workspace) {
  map_floating("abs", args.x, args.y, [] __device__(auto x) { return ::fabs(x); });
}
void abs_backward(const GradientArgs& args, Workspace) {
  map_gradient("abs_backward", args, [] __device__(auto gradient, auto x) {
    return x > 0 ? gradient : x < 0 ? -gradient : decltype(gradient){0};
  });
}
void exp(const UnaryArgs& args, Workspace) {
  map_floating("exp", args.x, args.y, [] __device__(auto x) { return ::exp(x); });
}
void log(const UnaryArgs& args, Workspace) {
  map_floating("log", args.x, args.y, [] __device__(auto x) { return ::log(x); });
}
void round(const UnaryArgs& args, Workspace) {
  map_floating("round", args.x, args.y, [] __device__(auto x) { return ::nearbyint(x); });
}
void sqrt(const UnaryArgs& args, Workspace) {
  map_floating("sqrt", args.x, args.y, [] __device__(auto x) { return ::sqrt(x); });
}
void softplus(const UnaryArgs& args, Workspace) {
  map_floating("softplus", args.x, args.y,
               [] __device__(auto x) { return (x > 0 ? x : decltype(x){0}) + ::log1p(::exp(-::fabs(x))); });
}
void neg(const UnaryArgs& args, Workspace) {
  map_number("neg", args.x, args.y, [] __device__(auto x) { return -x; });
}
void pow(const ScalarArgs& args, Workspace) {
  const double exponent = args.value;
  map_floating("pow", args.x, args.y,
               [exponent] __device__(auto x) { return ::pow(x, static_cast<decltype(x)>(exponent)); });
}

void relu(const UnaryArgs& args, Workspace) {  // NaN stays
  map_floating("relu", args.x, args.y, [] __device__(auto x) { return x < 0 ? decltype(x){0} : x; });
}
void relu_backward(const GradientArgs& args, Workspace) {
  map_gradient("relu_backward", args,
               [] __device__(auto gradient, auto y) { return y > 0 ? gradient : decltype(gradient){0}; });
}
void leaky_relu(const ScalarArgs& args, Workspace) {
  const double slope = args.value;
  map_floating("leaky_relu", args.x, args.y,
               [slope] __device__(auto x) { return x > 0 ? x : static_cast<decltype(x)>(slope) * x; });
}
void leaky_relu_backward(const LeakyReluBackwardArgs& args, Workspace) {
  const double slope = args.negative_slope;
  map_gradient("leaky_relu_backward", {args.gradient, args.saved, args.dx},
               [slope] __device__(auto gradient, auto saved) {
                 return saved > 0 ? gradient : static_cast<decltype(gradient)>(slope) * gradient;
               });
}
void clamp(const ClampArgs& args, Workspace) {
  const double min = args.min, max = args.max;
  map_floating("clamp", args.x, args.y, [=] __device__(auto x) {
    const auto low = static_cast<decltype(x)>(min), high = static_cast<decltype(x)>(max);
    return x < low ? low : x > high ? high : x;
  });
}
void clamp_backward(const ClampBackwardArgs& args, Workspace) {
  const double min = args.min, max = args.max;
  map_gradient("clamp_backward", {args.gradient, args.x, args.dx}, [=] __device__(auto gradient, auto x) {
    return x >= static_cast<decltype(x)>(min) && x <= static_cast<decltype(x)>(max) ? gradient
                                                                                    : decltype(gradient){0};
  });
}

void sigmoid(const UnaryArgs& args, Workspace) {
  map_floating("sigmoid", args.x, args.y, [] __device__(auto x) { return 1 / (1 + ::exp(-x)); });
}
void sigmoid_backward(const GradientArgs& args, Workspace) {
  map_gradient("sigmoid_backward", args,
               [] __device__(auto gradient, auto y) { return gradient * y * (1 - y); });
}
void silu(const UnaryArgs& args, Workspace) {
  map_floating("silu", args.x, args.y,
               [] __device__(auto x) { return not_below_lowest(x) / (1 + ::exp(-x)); });
}
void silu_backward(const GradientArgs& args, Workspace) {
  map_gradient("silu_backward", args, [] __device__(auto gradient, auto input) {
    const auto x = near_zero(input, decltype(input){2000});
    const auto s = 1 / (1 + ::exp(-x));
    return gradient * (s + x * s * (1 - s));
  });
}
void tanh(const UnaryArgs& args, Workspace) {
  map_floating("tanh", args.x, args.y, [] __device__(auto x) { return ::tanh(x); });
}
void tanh_backward(const GradientArgs& args, Workspace) {
  map_gradient("tanh_backward", args,
               [] __device__(auto gradient, auto y) { return gradient * (1 - y * y); });
}

// For numbers computed in T.
template <class T>
struct Gelu {
  static constexpr T kRootTwoOverPi = T(0.79788456080286535588);  // sqrt(2 / pi)
  static constexpr T kRootHalf = T(0.70710678118654752440);       // 1 / sqrt(2)
  static constexpr T kDensityAtZero = T(0.39894228040143267794);  // 1 / sqrt(2 pi)
  static constexpr T kHalf = T(0.5), kCubic = T(0.044715);

  __device__ static T exact(T x) { return kHalf * not_below_lowest(x) * (1 + ::erf(x * kRootHalf)); }
  __device__ static T exact_slope(T input) {
    const T x = near_zero(input, T{50});
    return kHalf * (1 + ::erf(x * kRootHalf)) + x * kDensityAtZero * ::exp(-kHalf * x * x);
  }
  __device__ static T of_tanh(T x) {
    return kHalf * not_below_lowest(x) * (1 + ::tanh(kRootTwoOverPi * (x + kCubic * x * x * x)));
  }
  __device__ static T of_tanh_backward(T gradient, T input) {
    const T x = near_zero(input, T{50});
    const T t = ::tanh(kRootTwoOverPi * (x + kCubic * x * x * x));
    const T slope = kRootTwoOverPi * (1 + 3 * kCubic * x * x);
    return gradient * kHalf * (1 + t + x * (1 - t * t) * slope);
  }
};

void gelu(const GeluArgs& args, Workspace) {
  if (args.approximate == Approximate::none)
    map_floating("gelu", args.x, args.y, [] __device__(auto x) { return Gelu<decltype(x)>::exact(x); });
  else
    map_floating("gelu_tanh", args.x, args.y,
                 [] __device__(auto x) { return Gelu<decltype(x)>::of_tanh(x); });
}
void gelu_backward(const GeluBackwardArgs& args, Workspace) {
  const GradientArgs operands{args.gradient, args.x, args.dx};
  if (args.approximate == Approximate::none)
    map_gradient("gelu_backward", operands, [] __device__(auto gradient, auto x) {
      return gradient * Gelu<decltype(x)>::exact_slope(x);
    });
  else
    map_gradient("gelu_tanh_backward", operands, [] __device__(auto gradient, auto x) {
      return Gelu<decltype(x)>::of_tanh_backward(gradient, x);
    });
}

}  // namespace

void fill_activations() {
  fill_any_floating(abs_slot, abs);
  fill_any_floating(abs_backward_slot, abs_backward);
  fill_any_floating(exp_slot, exp);
  fill_any_floating(log_slot, log);
  fill_any_floating(round_slot, round);
  fill_any_floating(sqrt_slot, sqrt);
  fill_any_floating(softplus_slot, softplus);
  fill_numbers(neg_slot, neg);
  fill_any_floating(pow_slot, pow);
  fill_any_floating(relu_slot, relu);
  fill_any_floating(relu_backward_slot, relu_backward);
  fill_any_floating(leaky_relu_slot, leaky_relu);
  fill_any_floating(leaky_relu_backward_slot, leaky_relu_backward);
  fill_any_floating(clamp_slot, clamp);
  fill_any_floating(clamp_backward_slot, clamp_backward);
  fill_any_floating(sigmoid_slot, sigmoid);
  fill_any_floating(sigmoid_backward_slot, sigmoid_backward);
  fill_any_floating(silu_slot, silu);
  fill_any_floating(silu_backward_slot, silu_backward);
  fill_any_floating(tanh_slot, tanh);
  fill_any_floating(tanh_backward_slot, tanh_backward);
  fill_any_floating(gelu_slot, gelu);
  fill_any_floating(gelu_backward_slot, gelu_backward);
}

}  // namespace reprise::cuda
