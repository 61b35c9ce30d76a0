#pragma once
// The ops of the differential run. A subject says for one public function of ops/ops.h which dtypes it
// takes and how to draw a random case. against_pytorch.py has the same function in PyTorch.
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "reprise/core/tensor.h"
#include "reprise/tests/differential/draw.h"

namespace reprise::test::differential {

using Inputs = std::span<const Tensor>;

// One call of an op.
struct DrawnCase {
  std::vector<Tensor> inputs = {};  // leaves; those that require gradients are differentiated
  std::function<std::vector<Tensor>(Inputs)> function = {};
  nlohmann::json options = nlohmann::json::object();  // the PyTorch side reads them

  int differentiated = 0;       // the output that backward starts from; -1: none
  bool double_backward = true;  // false: the gradient op has no gradient
  // The result is a sum of products, whose rounding follows the sum of magnitudes, not the result.
  bool terms = false;
  // The plain kernels in f64 say what is right. False if another dtype computes something else.
  bool judged_in_f64 = true;
  // Kernels from a library: the bits may depend on the number of threads.
  bool library = false;
  // Greatest relative rms error of the fast f32 kernels, against the plain ones in f64.
  double tolerance = 1e-6;
};

struct Subject {
  const char* op;
  std::vector<DType> dtypes;
  std::function<DrawnCase(Draw&, DType)> draw;
};

inline const std::vector<DType> kFloating = {DType::f32, DType::f64, DType::bf16, DType::f16};
inline const std::vector<DType> kNumbers = {DType::f32, DType::f64, DType::bf16,
                                            DType::f16, DType::i32, DType::i64};
inline const std::vector<DType> kEvery = {DType::f32, DType::f64, DType::bf16, DType::f16,
                                          DType::i32, DType::i64, DType::u8,   DType::boolean};

// One list per subjects_<group>.cpp.
std::vector<Subject> elementwise_subjects();
std::vector<Subject> image_subjects();
std::vector<Subject> loss_subjects();
std::vector<Subject> normalization_subjects();
std::vector<Subject> product_subjects();
std::vector<Subject> reduction_subjects();
std::vector<Subject> shape_subjects();
const std::vector<Subject>& subjects();  // all of them

// Functions that ops/ops.h and the headers it includes declare and that no subject draws.
std::vector<std::string> missing_subjects();

// {2, 3} as [2, 3].
nlohmann::json to_json(const Shape& shape);

}  // namespace reprise::test::differential
