#pragma once
// The list of op cases. A case says what is computed, on what, and by which formula; op_case_test.cpp runs each in
// every mode: forward against the formula, gradients against central differences, double backward, replay, saves with
// frozen inputs, other thread counts, and the fast kernels against the plain ones.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "reprise/core/tensor.h"
#include "reprise/tests/comparison.h"

namespace reprise::test {

using Inputs = std::span<const Tensor>;
using Values = std::vector<double>;  // in row-major order

// How an input is made. Floating ones are f64, f32, bf16 or f16 as the mode asks, with the same values (exact in f32).
struct OpInput {
  enum class Kind { uniform, away_from_zero, distinct, integers } kind;
  Shape shape;
  double low = -1, high = 1;
  DType dtype = DType::f32;  // f32: the mode's floating dtype
  bool differentiable = true;
  bool exact = false;  // f32 where the mode asks for 16 bits: a norm's weight
};
OpInput uniform(const Shape& shape, double low = -1, double high = 1);
// Magnitudes in [0.1, 1), of both signs: for what has a kink or a pole at 0.
OpInput away_from_zero(const Shape& shape);
// No two elements within 1 / numel of each other, shuffled, in [-1, 1]: for max, sorting out ties.
OpInput distinct(const Shape& shape);
// Whole numbers in [low, high), not differentiable; boolean: {0, 1}.
OpInput integers(const Shape& shape, std::int64_t low, std::int64_t high, DType dtype = DType::i64);
OpInput mask(const Shape& shape);
// The same input, without a gradient.
OpInput frozen(OpInput input);
// ... or never of 16 bits.
OpInput exact(OpInput input);

// What the case's first node saves while input `frozen` needs no gradient (-1: all differentiable ones need one).
struct ExpectedSaves {
  int frozen = -1;
  std::vector<int> inputs = {}, outputs = {};
};

struct OpCase {
  std::string name;
  std::function<Tensor(Inputs)> function;
  std::vector<OpInput> inputs;
  std::function<Values(const std::vector<Values>&)> reference = {};  // of the inputs' values; empty: none
  std::vector<ExpectedSaves> saves = {};
  bool double_backward = true;
  bool large = false;  // enough elements for several threads; too many for every element's difference
  // Relative rms errors, forward and gradients, against the plain kernels in f64: of the fast f32 kernels, of bf16's.
  double fast_tolerance = 1e-6;
  double bf16_tolerance = 1e-2;
};

// A formula for element-wise cases: equal shapes.
std::function<Values(const std::vector<Values>&)> each(double (*formula)(double));
std::function<Values(const std::vector<Values>&)> each(double (*formula)(double, double));

// One list per tests/op_cases_<group>.cpp.
std::vector<OpCase> activation_cases();
std::vector<OpCase> arithmetic_cases();
std::vector<OpCase> attention_cases();
std::vector<OpCase> choice_cases();
std::vector<OpCase> image_cases();
std::vector<OpCase> loss_cases();
std::vector<OpCase> normalization_cases();
std::vector<OpCase> product_cases();
std::vector<OpCase> reduction_cases();
std::vector<OpCase> shape_cases();

// All of them (op_case.cpp).
const std::vector<OpCase>& op_cases();

// The inputs of a case: leaves that require a gradient where they are differentiable.
std::vector<Tensor> make_inputs(const OpCase& op_case, DType floating, std::uint64_t seed = 1,
                                Device device = Device::cpu());
bool has_gradient(const OpCase& op_case);

// Fixed random weights of this kind: the gradient that backward starts from, or a direction.
Tensor weights_like(const Tensor& like, std::uint64_t seed);

struct Result {
  Tensor y;
  std::vector<Tensor> gradients;  // undefined where an input has none
};
// The output, and the gradients of its sum with fixed weights, which are rounded to `weights`.
Result run(const OpCase& op_case, const std::vector<Tensor>& inputs, DType weights = DType::f64);

}  // namespace reprise::test
