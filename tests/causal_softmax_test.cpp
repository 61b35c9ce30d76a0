// A causal softmax never reads what it hides.
#include <catch2/catch.hpp>
#include <cmath>

#include "reprise/autograd/tape.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/comparison.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;
using namespace reprise::test;

TEST_CASE("causal_softmax: a NaN or an infinity in a hidden place of dy changes no gradient", "[ops]") {
  const bool plain = GENERATE(false, true);
  const DType dtype = GENERATE(DType::f32, DType::f64, DType::bf16, DType::f16);
  const std::int64_t keys = GENERATE(1, 5, 40);
  INFO((plain ? "plain" : "fast") << " kernels, " << to_string(dtype) << ", " << keys << " keys");
  const PlainKernels kernels(plain);
  const Tensor x = cast(Tensor::rand({2, 40, keys}), dtype).detach();
  x.set_requires_grad(true);
  std::vector<double> clean, hidden;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const bool seen = i % keys <= i / keys % 40;
    clean.push_back(seen ? 0.25 * static_cast<double>(i % 7) : 0);
    hidden.push_back(seen ? clean.back() : i % 2 == 0 ? NAN : INFINITY);
  }
  const auto gradient = [&](const std::vector<double>& dy) {
    Tape tape;
    const Tensor y = causal_softmax(x);
    return tape.gradients(y, {x}, {.seed = Tensor::from(dy, x.shape(), {.dtype = dtype})})[0];
  };
  CHECK(same_bits(gradient(hidden), gradient(clean)));
}
