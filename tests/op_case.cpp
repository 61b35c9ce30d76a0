#include "reprise/tests/op_case.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "reprise/autograd/tape.h"
#include "reprise/ops/ops.h"

namespace reprise::test {

OpInput uniform(const Shape& shape, double low, double high) {
  return {OpInput::Kind::uniform, shape, low, high};
}
OpInput away_from_zero(const Shape& shape) { return {OpInput::Kind::away_from_zero, shape}; }
OpInput distinct(const Shape& shape) { return {OpInput::Kind::distinct, shape}; }
OpInput integers(const Shape& shape, std::int64_t low, std::int64_t high, DType dtype) {
  return {OpInput::Kind::integers, shape, static_cast<double>(low), static_cast<double>(high), dtype, false};
}
OpInput mask(const Shape& shape) { return integers(shape, 0, 2, DType::boolean); }
OpInput frozen(OpInput input) {
  input.differentiable = false;
  return input;
}

OpInput exact(OpInput input) {
  input.exact = true;
  return input;
}

std::function<Values(const std::vector<Values>&)> each(double (*formula)(double)) {
  return [formula](const std::vector<Values>& in) {
    Values result;
    for (const double x : in[0]) result.push_back(formula(x));
    return result;
  };
}
std::function<Values(const std::vector<Values>&)> each(double (*formula)(double, double)) {
  return [formula](const std::vector<Values>& in) {
    Values result;
    for (std::size_t i = 0; i < in[0].size(); ++i) result.push_back(formula(in[0][i], in[1][i]));
    return result;
  };
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> all = [] {
    std::vector<OpCase> list;
    for (auto* group : {activation_cases, arithmetic_cases, attention_cases, choice_cases, image_cases,
                        loss_cases, normalization_cases, product_cases, reduction_cases, shape_cases})
      for (OpCase& op_case : group()) list.push_back(std::move(op_case));
    return list;
  }();
  return all;
}

std::vector<Tensor> make_inputs(const OpCase& op_case, DType floating, std::uint64_t seed, Device device) {
  std::mt19937_64 random(seed);
  std::vector<Tensor> result;
  for (const OpInput& input : op_case.inputs) {
    const auto count = static_cast<std::size_t>(input.shape.numel());
    std::uniform_real_distribution<double> unit(0, 1);
    Values values(count);
    for (std::size_t i = 0; i < count; ++i) {
      const double u = unit(random);
      switch (input.kind) {
        case OpInput::Kind::uniform:
          values[i] = input.low + (input.high - input.low) * u;
          break;
        case OpInput::Kind::away_from_zero:
          values[i] = u < 0.5 ? -0.1 - 1.8 * u : 0.1 + 1.8 * (u - 0.5);
          break;
        case OpInput::Kind::distinct:
          values[i] = -1 + 2 * static_cast<double>(i) / static_cast<double>(count);
          break;
        case OpInput::Kind::integers:
          values[i] = std::floor(input.low + (input.high - input.low) * u);
          break;
      }
      values[i] = static_cast<double>(static_cast<float>(values[i]));
    }
    if (input.kind == OpInput::Kind::distinct) std::shuffle(values.begin(), values.end(), random);
    const DType wanted = input.exact ? gradient_dtype(floating) : floating;
    const DType dtype = input.dtype == DType::f32 ? wanted : input.dtype;
    result.push_back(Tensor::from(
        values, input.shape,
        {.device = device, .dtype = dtype, .requires_grad = input.differentiable && is_floating(dtype)}));
  }
  return result;
}

bool has_gradient(const OpCase& op_case) {
  for (const OpInput& input : op_case.inputs)
    if (input.differentiable) return true;
  return false;
}

Tensor weights_like(const Tensor& like, std::uint64_t seed) {
  OpCase op_case;
  op_case.inputs = {frozen(uniform(like.shape()))};
  return make_inputs(op_case, like.dtype(), seed).front().to(like.device());
}

Result run(const OpCase& op_case, const std::vector<Tensor>& inputs, DType weights) {
  if (!has_gradient(op_case)) return {op_case.function(inputs), {}};
  Tape tape;
  Result result;
  result.y = op_case.function(inputs);
  std::vector<Tensor> wanted;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) wanted.push_back(input);
  const Device device = result.y.device();
  const Tensor seed = weights_like(result.y, 2).to(Device::cpu()).to(weights).to(result.y.dtype()).to(device);
  result.gradients = tape.gradients(result.y, wanted, {.seed = seed, .allow_unused = true});
  return result;
}

}  // namespace reprise::test
