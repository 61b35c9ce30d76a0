#include "reprise/nn/init.h"

#include <fmt/format.h>

#include <cmath>

#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/unlisted.h"

namespace reprise::nn::init {
namespace {

// A parameter with x = offset + scale x, in place: nobody else has seen it yet.
Tensor affine(const Tensor& parameter, double offset, double scale) {
  mark_unlisted(parameter);
  if (!is_dry_run())
    for (float& x : parameter.write<float>()) x = static_cast<float>(offset + scale * static_cast<double>(x));
  return parameter;
}

double leaky_relu_gain(double a) { return std::sqrt(2.0 / (1.0 + a * a)); }

}  // namespace

Tensor constant(const Shape& shape, double value) {
  const memory::TagScope tag(memory::Tag::parameter);
  Tensor parameter = Tensor::full(shape, value, {.requires_grad = true});
  mark_unlisted(parameter);
  return parameter;
}

Tensor uniform(const Shape& shape, double low, double high) {
  const memory::TagScope tag(memory::Tag::parameter);
  return affine(Tensor::rand(shape, {.requires_grad = true}), low, high - low);
}

Tensor normal(const Shape& shape, double mean, double standard_deviation) {
  const memory::TagScope tag(memory::Tag::parameter);
  return affine(Tensor::randn(shape, {.requires_grad = true}), mean, standard_deviation);
}

Fan fan(const Shape& weight) {
  if (weight.rank() < 2)
    throw UserError(fmt::format(
        "nn::init: fan of shape {}: a weight has at least two dimensions, [out, .., in]", to_string(weight)));
  std::int64_t places = 1;  // of a convolution's kernel
  for (int dim = 1; dim + 1 < weight.rank(); ++dim) places *= weight[dim];
  return {places * weight[-1], places * weight[0]};
}

Tensor kaiming_uniform(const Shape& shape, double a) {
  const double bound = leaky_relu_gain(a) * std::sqrt(3.0 / static_cast<double>(fan(shape).in));
  return uniform(shape, -bound, bound);
}

Tensor kaiming_normal(const Shape& shape, double a) {
  return normal(shape, 0.0, leaky_relu_gain(a) / std::sqrt(static_cast<double>(fan(shape).in)));
}

Tensor xavier_uniform(const Shape& shape, double gain) {
  const Fan f = fan(shape);
  const double bound = gain * std::sqrt(6.0 / static_cast<double>(f.in + f.out));
  return uniform(shape, -bound, bound);
}

Tensor xavier_normal(const Shape& shape, double gain) {
  const Fan f = fan(shape);
  return normal(shape, 0.0, gain * std::sqrt(2.0 / static_cast<double>(f.in + f.out)));
}

}  // namespace reprise::nn::init
