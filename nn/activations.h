#pragma once
// Activations as modules, for those who like them in a Sequential; the plain functions work there too:
// nn::Sequential(nn::Linear(784, 128), relu, nn::Linear(128, 10)).
#include "reprise/nn/module.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {

struct ReLU : Stateless {
  Tensor operator()(Tensor x) { return relu(std::move(x)); }
};

struct LeakyReLU : Stateless {
  double negative_slope;
  explicit LeakyReLU(double slope = 0.01) : negative_slope(slope) {}
  Tensor operator()(Tensor x) { return leaky_relu(std::move(x), negative_slope); }
};

struct GELU : Stateless {
  GeluOptions options;
  explicit GELU(GeluOptions o = {}) : options(o) {}
  Tensor operator()(Tensor x) { return gelu(std::move(x), options); }
};

struct SiLU : Stateless {
  Tensor operator()(Tensor x) { return silu(std::move(x)); }
};

struct Softplus : Stateless {
  Tensor operator()(Tensor x) { return softplus(std::move(x)); }
};

struct Tanh : Stateless {
  Tensor operator()(Tensor x) { return tanh(std::move(x)); }
};

struct Sigmoid : Stateless {
  Tensor operator()(Tensor x) { return sigmoid(std::move(x)); }
};

struct Softmax : Stateless {
  int dim;
  explicit Softmax(int d) : dim(d) {}
  Tensor operator()(Tensor x) { return softmax(std::move(x), dim); }
};

struct LogSoftmax : Stateless {
  int dim;
  explicit LogSoftmax(int d) : dim(d) {}
  Tensor operator()(Tensor x) { return log_softmax(std::move(x), dim); }
};

}  // namespace reprise::nn
