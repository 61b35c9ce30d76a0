#pragma once
// Op cases on other inputs than their own: with special values planted, with extents replaced.
#include <cstdint>
#include <string>
#include <vector>

#include "reprise/tests/op_case.h"

namespace reprise::test {

// The case with every extent that equals `from` made `to`, in all inputs: `from` is an extent that they share. The function
// and the formula may expect other shapes.
OpCase with_extent(const OpCase& op_case, std::int64_t from, std::int64_t to);
// The case with every extent 1.
OpCase with_one_element(const OpCase& op_case);
// The different extents of the case's floating inputs, in order of appearance.
std::vector<std::int64_t> extents_of(const OpCase& op_case);

// Which of the case's inputs are floating.
std::vector<std::size_t> floating_inputs(const OpCase& op_case);
// Puts a value into the middle element of an input, leaving the other tensors alone.
void plant(std::vector<Tensor>& inputs, std::size_t input, double value);
// Multiplies every element of the floating inputs.
void scale(std::vector<Tensor>& inputs, double factor);

// A letter per element: n for NaN, + and - for the infinities, . for the rest.
std::string classes(const Tensor& tensor);

}  // namespace reprise::test
