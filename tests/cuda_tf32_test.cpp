// What of cuBLASLt's and cuDNN's kernels rounds operands to TF32, and when.
#include <catch2/catch.hpp>

#include "reprise/core/allow_tf32.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;

TEST_CASE("cuda: products and convolutions round f32 to TF32 where that is allowed, and nothing else ever",
          "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const double number = 1 + 0x1p-11;  // a bit longer than TF32
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto ones = [&](const Shape& shape) {
      return Tensor::ones(shape, {.dtype = dtype}).to(cuda_device());
    };
    const Tensor image = ones({1, 2, 2, 1}) * number, kernel = ones({1, 1, 1, 1});
    const Tensor matrix = ones({2, 1}) * number, vector = ones({1, 1});
    for (const bool allowed : {false, true}) {
      INFO(to_string(dtype) << ", TF32 allowed: " << allowed);
      set_allow_tf32(allowed);
      const Tensor convolved = conv2d(image, kernel), biased = conv2d(image, kernel, ones({1}));
      const Tensor product = matmul(matrix, vector);
      set_allow_tf32(false);
      const double expected = allowed && dtype == DType::f32 ? 1 : number;
      CHECK(convolved.to_vector() == Values(4, expected));
      CHECK(biased.to_vector() == Values(4, expected + 1));
      CHECK(product.to_vector() == Values(2, expected));
    }
  }
}
