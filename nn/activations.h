#pragma once
// Activations as modules, for those who like them in a Sequential; the plain functions work there too:
// nn::Sequential(nn::Linear(784, 128), relu, nn::Linear(128, 10)).
#include "reprise/nn/module.h"
#include "reprise/ops/ops.h"

namespace reprise::nn {

struct ReLU : Module {
  Tensor operator()(Tensor x) { return relu(std::move(x)); }
  void visit(Visitor&) override {}
};

struct LeakyReLU : Module {
  double negative_slope;
  explicit LeakyReLU(double slope = 0.01) : negative_slope(slope) {}
  Tensor operator()(Tensor x) { return leaky_relu(std::move(x), negative_slope); }
  void visit(Visitor&) override {}
};

struct GELU : Module {
  GeluOptions options;
  explicit GELU(GeluOptions o = {}) : options(o) {}
  Tensor operator()(Tensor x) { return gelu(std::move(x), options); }
  void visit(Visitor&) override {}
};

struct SiLU : Module {
  Tensor operator()(Tensor x) { return silu(std::move(x)); }
  void visit(Visitor&) override {}
};

struct Softplus : Module {
  Tensor operator()(Tensor x) { return softplus(std::move(x)); }
  void visit(Visitor&) override {}
};

struct Tanh : Module {
  Tensor operator()(Tensor x) { return tanh(std::move(x)); }
  void visit(Visitor&) override {}
};

struct Sigmoid : Module {
  Tensor operator()(Tensor x) { return sigmoid(std::move(x)); }
  void visit(Visitor&) override {}
};

struct Softmax : Module {
  int dim;
  explicit Softmax(int d) : dim(d) {}
  Tensor operator()(Tensor x) { return softmax(std::move(x), dim); }
  void visit(Visitor&) override {}
};

struct LogSoftmax : Module {
  int dim;
  explicit LogSoftmax(int d) : dim(d) {}
  Tensor operator()(Tensor x) { return log_softmax(std::move(x), dim); }
  void visit(Visitor&) override {}
};

}  // namespace reprise::nn
