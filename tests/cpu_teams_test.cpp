// Kernels when OpenMP gives fewer threads than set_num_threads() asked for. ctest runs this file once more under
// thread limits and under OMP_DYNAMIC (tests/CMakeLists.txt).
#include <omp.h>

#include <catch2/catch.hpp>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// Gradients from oneDNN's convolutions, Winograd's method, products and attention.
std::vector<Tensor> gradients() {
  manual_seed(3);
  const auto leaf = [](const Shape& shape) {
    Tensor weight = (Tensor::randn(shape) * 0.06).detach();
    weight.set_requires_grad(true);
    return weight;
  };
  const std::vector<Tensor> leaves = {leaf({32, 5, 5, 16}), leaf({32, 3, 3, 32}), leaf({24, 1, 1, 32}),
                                      leaf({40, 24})};
  const Tensor x = Tensor::randn({8, 14, 14, 16});
  Tape tape;
  Tensor y = relu(conv2d(x, leaves[0], {}, {.padding = 2}));
  y = relu(conv2d(y, leaves[1], {}, {.padding = 1}));
  y = relu(conv2d(y, leaves[2], {}, {.stride = 2})).reshape({8, 49, 24});
  const Tensor heads = linear(y, leaves[3]).reshape({8, 49, 2, 20});
  tape.backward(sum(attention(heads, heads, heads)));
  std::vector<Tensor> result;
  for (const Tensor& l : leaves) result.push_back(l.grad());
  return result;
}

void check_near(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  for (std::size_t i = 0; i < actual.size(); ++i) {
    INFO("gradient " << i);
    CHECK(relative_rms_error(actual[i], expected[i]) < 1e-4);
  }
}

std::vector<Tensor> plain_gradients() {
  const PlainKernels plain;
  return gradients();
}

}  // namespace

TEST_CASE("gradients are right when OpenMP gives fewer threads than asked for", "[cpu][teams]") {
  const std::vector<Tensor> expected = plain_gradients();
  for (const int count : {1, 2, 3, 5}) {
    INFO(count << " threads, of which " << omp_get_thread_limit() << " may run");
    const ThreadCount threads(count);
    check_near(gradients(), expected);
  }
}

TEST_CASE("gradients are right inside the caller's own parallel region", "[cpu][teams]") {
  const std::vector<Tensor> expected = plain_gradients();
  const ThreadCount threads(3);
  gradients();  // makes oneDNN's primitives for three threads
  for (const int levels : {1, 2}) {
    INFO(levels << " active levels");
    const int before = omp_get_max_active_levels();
    omp_set_max_active_levels(levels);
    std::vector<std::vector<Tensor>> results(2);
#pragma omp parallel num_threads(2)
    results[static_cast<std::size_t>(omp_get_thread_num())] = gradients();
    omp_set_max_active_levels(before);
    for (const std::vector<Tensor>& result : results)
      if (!result.empty()) check_near(result, expected);  // empty: the region had one thread
  }
}
