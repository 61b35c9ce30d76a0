// A kernel that fails while it runs: where that is reported, and what the process can do after it.
#include <catch2/catch.hpp>
#include <cmath>

#include "reprise/core/error.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

TEST_CASE("cuda: a failed kernel is reported at a later op, and with synchronized launches at its own",
          "[cuda]") {
  if (on_real_gpu()) return;
  const Device device = cuda_device();
  struct Case {
    const char *kernel, *error;
  };
  const Case failing =
      GENERATE(Case{"exp", "exp: error 719: unspecified launch failure (in exp)"},
               Case{"cublasLtMatmul", "cublasLtMatmul: error 719: unspecified launch failure (in matmul)"});
  INFO(failing.kernel);
  const Tensor x = Tensor::ones({4, 4}, {.device = device});
  const auto product = [&] { return matmul(exp(x), x); };
  {
    const EmulatorSettings settings({.failing_kernel = failing.kernel});
    Tensor y;
    CHECK_NOTHROW(y = tanh(product()));
    CHECK_THROWS_WITH(y.at({0, 0}), "cudaStreamSynchronize: error 719: unspecified launch failure");
    CHECK_THROWS_WITH(tanh(x), Contains("error 719"));  // every later call says it
  }
  {
    const EmulatorSettings settings({.failing_kernel = failing.kernel});
    const SynchronizedLaunches synchronized;
    CHECK_THROWS_AS(product(), DeviceError);
  }
  {
    const EmulatorSettings settings({.failing_kernel = failing.kernel});
    const SynchronizedLaunches synchronized;
    CHECK_THROWS_WITH(product(), failing.error);
  }
  const EmulatorSettings settings({});
  CHECK(product().at({0, 0}) == Approx(4 * std::exp(1.0)));
}
