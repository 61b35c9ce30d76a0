#include "reprise/tests/op_case_variants.h"

#include <algorithm>
#include <cmath>

namespace reprise::test {
namespace {

Tensor leaf_like(const Tensor& tensor, const Values& values) {
  return Tensor::from(values, tensor.shape(),
                      {.dtype = tensor.dtype(), .requires_grad = tensor.requires_grad()});
}

}  // namespace

OpCase with_extent(const OpCase& op_case, std::int64_t from, std::int64_t to) {
  OpCase result = op_case;
  for (OpInput& input : result.inputs)
    for (int d = 0; d < input.shape.rank(); ++d)
      if (input.shape[d] == from) input.shape = input.shape.with(d, to);
  return result;
}

OpCase with_one_element(const OpCase& op_case) {
  OpCase result = op_case;
  for (OpInput& input : result.inputs) {
    for (int d = 0; d < input.shape.rank(); ++d) input.shape = input.shape.with(d, 1);
    if (input.kind == OpInput::Kind::integers && input.dtype == DType::i64) input.low = 0, input.high = 1;
  }
  return result;
}

std::vector<std::int64_t> extents_of(const OpCase& op_case) {
  std::vector<std::int64_t> result;
  for (const OpInput& input : op_case.inputs)
    for (const std::int64_t extent : input.shape.extents())
      if (input.dtype == DType::f32 && std::find(result.begin(), result.end(), extent) == result.end())
        result.push_back(extent);
  return result;
}

std::vector<std::size_t> floating_inputs(const OpCase& op_case) {
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < op_case.inputs.size(); ++i)
    if (op_case.inputs[i].dtype == DType::f32) result.push_back(i);
  return result;
}

void plant(std::vector<Tensor>& inputs, std::size_t input, double value) {
  Values values = inputs[input].to_vector();
  if (!values.empty()) values[values.size() / 2] = value;
  inputs[input] = leaf_like(inputs[input], values);
}

void scale(std::vector<Tensor>& inputs, double factor) {
  for (Tensor& input : inputs) {
    if (!is_floating(input.dtype())) continue;
    Values values = input.to_vector();
    for (double& value : values) value *= factor;
    input = leaf_like(input, values);
  }
}

std::string classes(const Tensor& tensor) {
  std::string result;
  for (const double value : tensor.to_vector())
    result += std::isnan(value) ? 'n' : std::isfinite(value) ? '.' : value > 0 ? '+' : '-';
  return result;
}

}  // namespace reprise::test
