#include "reprise/tests/edge_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "reprise/autograd/tape.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case_variants.h"

namespace reprise::test {
namespace {

constexpr const char* kRefused = "UserError";
constexpr const char* kNothing = "-";

// Which elements are not finite, of a tensor that follows from an input whose middle element is not.
std::string reach(const Tensor& tensor, const Shape& input) {
  const std::string letters = classes(tensor);
  const auto hit = static_cast<std::size_t>(
      std::count_if(letters.begin(), letters.end(), [](char c) { return c != '.'; }));
  if (hit == 0) return "no element";
  if (letters.size() == 1) return "the result";
  if (hit == letters.size()) return "every element";
  const std::size_t middle = letters.size() / 2;
  if (hit == 1 && tensor.shape() == input && letters[middle] != '.') return "that element";
  return fmt::format("{} of {}", hit, letters.size());
}

std::string with_value(const OpCase& op_case, double value) {
  if (op_case.inputs[0].dtype != DType::f32) return kNothing;
  std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
  plant(inputs, 0, value);
  try {
    const Result result = run(op_case, inputs);
    std::string text = reach(result.y, inputs[0].shape());
    if (inputs[0].requires_grad() && result.gradients[0].defined())
      text += "; gradient: " + reach(result.gradients[0], inputs[0].shape());
    return text;
  } catch (const UserError&) {
    return kRefused;
  }
}

std::string without_elements(const OpCase& op_case) {
  const std::vector<std::int64_t> extents = extents_of(op_case);
  if (extents.empty()) return kNothing;
  try {
    const Result result = run(op_case, make_inputs(with_extent(op_case, extents[0], 0), DType::f64));
    const std::string letters = classes(result.y);
    const bool is_nan = letters.find('n') != std::string::npos;
    return to_string(result.y.shape()) + (is_nan ? ", NaN" : letters.empty() ? "" : ", zeros");
  } catch (const UserError&) {
    return kRefused;
  }
}

// Who gets the gradient, if all floating inputs have one value.
std::string with_ties(const OpCase& op_case) {
  const bool chooses = op_case.inputs[0].kind == OpInput::Kind::distinct ||
                       op_case.name.starts_with("maximum") || op_case.name.starts_with("minimum");
  if (!chooses) return kNothing;
  std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
  scale(inputs, 0);
  if (!has_gradient(op_case)) {
    const Values places = op_case.function(inputs).to_vector();
    return std::count(places.begin(), places.end(), 0.0) == std::ssize(places) ? "the first"
                                                                               : "not the first";
  }
  Tape tape;
  const Tensor y = op_case.function(inputs);
  tape.backward(y, {.seed = Tensor::ones(y.shape(), {.dtype = y.dtype()})});
  const Values gradient = inputs[0].grad().to_vector();
  const std::set<double> shares(gradient.begin(), gradient.end());
  if (shares.size() == 1 && *shares.begin() == 0) return "none";
  if (shares.size() == 1) return *shares.begin() == 1 ? "all, whole" : "shared evenly";
  return gradient[0] != 0 ? "the first" : "not the first";
}

std::string with_index_out_of_range(const OpCase& op_case) {
  for (std::size_t i = 0; i < op_case.inputs.size(); ++i) {
    if (op_case.inputs[i].kind != OpInput::Kind::integers || op_case.inputs[i].dtype != DType::i64) continue;
    std::string text;
    for (const double index : {-1.0, 1000.0}) {
      std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
      plant(inputs, i, index);
      try {
        run(op_case, inputs);
        return kNothing;  // no index: any number will do
      } catch (const UserError&) {
        text = kRefused;
      }
    }
    return text;
  }
  return kNothing;
}

// "max of rows" and "max, large" are cases of one op; the first stands for all that differ behind a comma only.
bool stands_for_op(const OpCase& op_case, std::set<std::string>& seen) {
  if (op_case.large || op_case.name.find("frozen") != std::string::npos) return false;
  return seen.insert(op_case.name.substr(0, op_case.name.find(','))).second;
}

}  // namespace

std::string edge_table() {
  const PlainKernels plain;
  std::string table =
      "| op case | a NaN reaches | an infinity makes NaN or infinity of | no elements | ties | index out of "
      "range |\n"
      "|---|---|---|---|---|---|\n";
  std::set<std::string> seen;
  for (const OpCase& op_case : op_cases())
    if (stands_for_op(op_case, seen))
      table += fmt::format("| {} | {} | {} | {} | {} | {} |\n", op_case.name,
                           with_value(op_case, std::nan("")), with_value(op_case, HUGE_VAL),
                           without_elements(op_case), with_ties(op_case), with_index_out_of_range(op_case));
  return table;
}

}  // namespace reprise::test
