#pragma once
// Initial values of parameters. Each function makes a new parameter: a leaf that requires a gradient, f32, counted
// under the tag parameter, drawn from the thread's generator (manual_seed). To begin a layer otherwise than by
// PyTorch's defaults, assign before the optimizer is made:
//
//   layer.weight = nn::init::normal(layer.weight.shape(), 0.0, 0.02);
//
// Formulas: Glorot and Bengio 2010 (xavier), He et al. 2015 (kaiming), with PyTorch's names.
#include <cstdint>

#include "reprise/core/tensor.h"

namespace reprise::nn::init {

Tensor constant(const Shape& shape, double value);
Tensor uniform(const Shape& shape, double low, double high);  // in [low, high)
Tensor normal(const Shape& shape, double mean, double standard_deviation);

// The inputs that one output of a weight reads, and the outputs that one input reaches. Linear weights are [out, in],
// convolution weights [out, h, w, in / groups]. UserError below rank 2.
struct Fan {
  std::int64_t in, out;
};
Fan fan(const Shape& weight);

// U(-b, b), b = sqrt(6 / ((1 + a^2) fan.in)); a is the slope of the leaky ReLU that follows. PyTorch's layers begin
// with a = sqrt(5), so b = 1 / sqrt(fan.in).
Tensor kaiming_uniform(const Shape& shape, double a = 0.0);
// N(0, s^2), s = sqrt(2 / ((1 + a^2) fan.in))
Tensor kaiming_normal(const Shape& shape, double a = 0.0);
// U(-b, b), b = gain sqrt(6 / (fan.in + fan.out))
Tensor xavier_uniform(const Shape& shape, double gain = 1.0);
// N(0, s^2), s = gain sqrt(2 / (fan.in + fan.out))
Tensor xavier_normal(const Shape& shape, double gain = 1.0);

}  // namespace reprise::nn::init
