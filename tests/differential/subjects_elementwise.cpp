// Ops that compute element by element.
#include <cmath>

#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

// A derivative such as 1 - y y loses digits near 0. against_pytorch.py judges each element more strictly.
constexpr double kNearZero = 1e-5;

Subject unary(const char* op, Tensor (*function)(Tensor), std::vector<DType> dtypes = kFloating) {
  return {op, std::move(dtypes), [=](Draw& draw, DType dtype) {
            return DrawnCase{.inputs = {draw.any(draw.shape(0, 4), dtype)},
                             .function = [=](Inputs in) { return std::vector{function(in[0])}; },
                             .tolerance = kNearZero};
          }};
}

// f(gradient, saved); `saved` lies where the forward op can put it.
Subject gradient(const char* op, Tensor (*function)(Tensor, Tensor), Tensor (*saved)(Tensor)) {
  return {op, kFloating, [=](Draw& draw, DType dtype) {
            const Shape shape = draw.shape(0, 3);
            Tensor second = saved(draw.constant(shape, dtype));
            second.set_requires_grad(draw.chance(0.8));
            return DrawnCase{.inputs = {draw.input(shape, dtype), second},
                             .function = [=](Inputs in) { return std::vector{function(in[0], in[1])}; },
                             .tolerance = kNearZero};
          }};
}
Tensor itself(Tensor x) { return x; }

Subject binary(const char* op, Tensor (*function)(Tensor, Tensor), std::vector<DType> dtypes,
               bool differentiable = true) {
  return {op, std::move(dtypes), [=](Draw& draw, DType dtype) {
            const Shape shape = draw.shape(0, 4);
            const bool first = draw.chance(0.5);
            const Shape other = draw.broadcastable(shape);
            return DrawnCase{
                .inputs = {draw.any(first ? shape : other, dtype), draw.any(first ? other : shape, dtype)},
                .function = [=](Inputs in) { return std::vector{function(in[0], in[1])}; },
                .differentiated = differentiable ? 0 : -1,
                // A gradient is summed over what broadcasting repeated.
                .terms = true};
          }};
}

// A number that the dtype takes: whole for integers.
double drawn_number(Draw& draw, DType dtype) {
  if (!is_floating(dtype)) return static_cast<double>(draw.whole(-5, 5));
  return draw.one_of<double>({0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 0.1, -2.7, 49.0, 1e-3, 1e4});
}

Subject with_number(const char* op, Tensor (*function)(Tensor, Scalar), std::vector<DType> dtypes,
                    bool differentiable = true) {
  return {op, std::move(dtypes), [=](Draw& draw, DType dtype) {
            // A comparison takes every number, whatever the dtype.
            const double value = differentiable     ? drawn_number(draw, dtype)
                                 : draw.chance(0.5) ? static_cast<double>(draw.whole(-3, 3))
                                                    : draw.one_of<double>({0.5, 2.5, -1.0, 300.0, 1e10, NAN});
            return DrawnCase{.inputs = {draw.any(draw.shape(0, 3), dtype)},
                             .function = [=](Inputs in) { return std::vector{function(in[0], value)}; },
                             .options = {{"value", value}},
                             .differentiated = differentiable ? 0 : -1};
          }};
}

Tensor over_number(Tensor x, Scalar value) { return div_scalar(std::move(x), value.to_double()); }
Tensor number_over(Tensor x, Scalar value) { return rdiv(std::move(x), value.to_double()); }

DrawnCase draw_pow(Draw& draw, DType dtype) {
  const double exponent = draw.one_of<double>({0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.5, 2.5, 10});
  const Shape shape = draw.shape(0, 3);
  return {.inputs = {draw.chance(0.5) ? draw.positive(shape, dtype) : draw.input(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{pow(in[0], exponent)}; },
          .options = {{"value", exponent}}};
}

DrawnCase draw_clamp(Draw& draw, DType dtype) {
  const double low = draw.number(-1, 0.5), high = low + draw.number(0, 1);
  return {.inputs = {draw.input(draw.shape(0, 3), dtype)},
          .function = [=](Inputs in) { return std::vector{clamp(in[0], low, high)}; },
          .options = {{"min", low}, {"max", high}}};
}
DrawnCase draw_clamp_backward(Draw& draw, DType dtype) {
  const double low = draw.number(-1, 0.5), high = low + draw.number(0, 1);
  const Shape shape = draw.shape(0, 3);
  return {.inputs = {draw.input(shape, dtype), draw.input(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{clamp_backward(in[0], in[1], low, high)}; },
          .options = {{"min", low}, {"max", high}}};
}

DrawnCase draw_leaky_relu(Draw& draw, DType dtype) {
  const double slope = draw.one_of<double>({0.01, 0.2, 0.0, 1.0, -0.5});
  return {.inputs = {draw.input(draw.shape(0, 3), dtype)},
          .function = [=](Inputs in) { return std::vector{leaky_relu(in[0], slope)}; },
          .options = {{"slope", slope}}};
}
DrawnCase draw_leaky_relu_backward(Draw& draw, DType dtype) {
  const double slope = draw.one_of<double>({0.01, 0.2, 0.0, 1.0});
  const Shape shape = draw.shape(0, 3);
  return {.inputs = {draw.input(shape, dtype), draw.input(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{leaky_relu_backward(in[0], in[1], slope)}; },
          .options = {{"slope", slope}}};
}

GeluOptions gelu_options(bool by_tanh) { return {by_tanh ? Approximate::tanh : Approximate::none}; }
DrawnCase draw_gelu(Draw& draw, DType dtype) {
  const bool by_tanh = draw.chance(0.5);
  return {.inputs = {draw.input(draw.shape(0, 3), dtype)},
          .function = [=](Inputs in) { return std::vector{gelu(in[0], gelu_options(by_tanh))}; },
          .options = {{"tanh", by_tanh}},
          .tolerance = kNearZero};
}
DrawnCase draw_gelu_backward(Draw& draw, DType dtype) {
  const bool by_tanh = draw.chance(0.5);
  const Shape shape = draw.shape(0, 3);
  return {
      .inputs = {draw.input(shape, dtype), draw.input(shape, dtype)},
      .function = [=](Inputs in) { return std::vector{gelu_backward(in[0], in[1], gelu_options(by_tanh))}; },
      .options = {{"tanh", by_tanh}},
      .tolerance = kNearZero};
}

Shape paired(const Shape& shape) { return shape.with(-1, 2 * shape[-1]); }
DrawnCase draw_geglu(Draw& draw, DType dtype) {
  const bool by_tanh = draw.chance(0.5);
  return {.inputs = {draw.input(paired(draw.shape(1, 3)), dtype)},
          .function = [=](Inputs in) { return std::vector{geglu(in[0], gelu_options(by_tanh))}; },
          .options = {{"tanh", by_tanh}},
          .double_backward = false};
}
DrawnCase draw_swiglu(Draw& draw, DType dtype) {
  return {.inputs = {draw.input(paired(draw.shape(1, 3)), dtype)},
          .function = [](Inputs in) { return std::vector{swiglu(in[0])}; },
          .double_backward = false};
}

DrawnCase draw_where(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(0, 4);
  Shape of[3] = {draw.broadcastable(shape), draw.broadcastable(shape), draw.broadcastable(shape)};
  of[draw.whole(0, 2)] = shape;
  return {.inputs = {draw.any(of[0], DType::boolean), draw.any(of[1], dtype), draw.any(of[2], dtype)},
          .function = [](Inputs in) { return std::vector{where(in[0], in[1], in[2])}; },
          .differentiated = is_floating(dtype) ? 0 : -1,
          .terms = true};
}

DrawnCase draw_cast(Draw& draw, DType dtype) {
  const DType to = draw.one_of<DType>(
      {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::i64, DType::u8, DType::boolean});
  return {.inputs = {draw.any(draw.shape(0, 3), dtype)},
          .function = [=](Inputs in) { return std::vector{cast(in[0], to)}; },
          .options = {{"to", reprise::to_string(to)}},
          .differentiated = is_floating(dtype) && is_floating(to) ? 0 : -1,
          .double_backward = to == dtype,
          .judged_in_f64 = false};
}

// The numbers start at an address that the case fixes, so that the judge gets the mask as an input.
DrawnCase draw_dropout(Draw& draw, DType dtype) {
  const double p = draw.one_of<double>({0.0, 0.1, 0.5, 0.9, 1.0});
  const auto seed = static_cast<std::uint64_t>(draw.whole(1, 1000));
  const Shape shape = draw.shape(0, 3);
  std::vector<double> kept(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < kept.size(); ++i)
    kept[i] = uniform_from_word(random_word(seed, i)) >= static_cast<float>(p) ? 1 : 0;
  return {.inputs = {draw.input(shape, dtype), Tensor::from(kept, shape, {.dtype = DType::boolean})},
          .function =
              [=](Inputs in) {
                manual_seed(seed);
                return std::vector{dropout(in[0], p)};
              },
          .options = {{"p", p}}};
}

}  // namespace

std::vector<Subject> elementwise_subjects() {
  std::vector<Subject> list = {
      unary("abs", abs),
      unary("exp", exp),
      unary("log", log),
      unary("neg", neg, kNumbers),
      unary("relu", relu),
      unary("round", round),
      unary("sigmoid", sigmoid),
      unary("silu", silu),
      unary("softplus", softplus),
      unary("sqrt", sqrt),
      unary("tanh", tanh),
      gradient("abs_backward", abs_backward, itself),
      gradient("relu_backward", relu_backward, relu),
      gradient("sigmoid_backward", sigmoid_backward, sigmoid),
      gradient("silu_backward", silu_backward, itself),
      gradient("tanh_backward", tanh_backward, tanh),
      binary("add", add, kNumbers),
      binary("sub", sub, kNumbers),
      binary("mul", mul, kNumbers),
      binary("div", div, kFloating),
      binary("maximum", maximum, kNumbers),
      binary("minimum", minimum, kNumbers),
      with_number("add_scalar", add_scalar, kNumbers),
      with_number("mul_scalar", mul_scalar, kNumbers),
      with_number("rsub", rsub, kNumbers),
      with_number("rdiv", number_over, kFloating),
      with_number("div_scalar", over_number, kFloating),
      {"pow", kFloating, draw_pow},
      {"clamp", kFloating, draw_clamp},
      {"clamp_backward", kFloating, draw_clamp_backward},
      {"leaky_relu", kFloating, draw_leaky_relu},
      {"leaky_relu_backward", kFloating, draw_leaky_relu_backward},
      {"gelu", kFloating, draw_gelu},
      {"gelu_backward", kFloating, draw_gelu_backward},
      {"geglu", kFloating, draw_geglu},
      {"swiglu", kFloating, draw_swiglu},
      {"where", kEvery, draw_where},
      {"cast", kEvery, draw_cast},
      {"dropout", kFloating, draw_dropout},
  };
  struct Comparison {
    const char* op;
    Tensor (*tensors)(Tensor, Tensor);
    Tensor (*number)(Tensor, Scalar);
  };
  for (const Comparison& c : {Comparison{"equal", equal, equal},
                              {"not_equal", not_equal, not_equal},
                              {"less", less, less},
                              {"less_equal", less_equal, less_equal},
                              {"greater", greater, greater},
                              {"greater_equal", greater_equal, greater_equal}}) {
    list.push_back(binary(c.op, c.tensors, kEvery, false));
    list.push_back(with_number(c.op, c.number, kEvery, false));
  }
  return list;
}

}  // namespace reprise::test::differential
