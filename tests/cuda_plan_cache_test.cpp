// cuDNN's plans are made once for a graph, a device and what is asked of them.
#include <catch2/catch.hpp>

#include "reprise/core/allow_tf32.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"

using namespace reprise;
using namespace reprise::test;

namespace {

template <class F>
std::int64_t plans_made(F f) {
  const std::int64_t before = emulator_statistics().cudnn_plans;
  f();
  return emulator_statistics().cudnn_plans - before;
}

}  // namespace

TEST_CASE("cuda plans: one for a graph, a device, TF32 and a limit of workspace", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  const auto plan = [](int device, std::int64_t channels, bool tf32, std::int64_t most_workspace) {
    return plans_made([&] { CHECK(plan_convolution(device, channels, tf32, most_workspace) == 512); });
  };
  CHECK(plan(0, 4, false, 4096) == 1);
  CHECK(plan(0, 4, false, 4096) == 0);
  CHECK(plan(0, 8, false, 4096) == 1);
  CHECK(plan(0, 4, true, 4096) == 1);
  CHECK(plan(0, 4, false, 512) == 1);
  CHECK(plan(1, 4, false, 4096) == 1);
  CHECK(plan(1, 4, false, 4096) == 0);
  CHECK(plan(0, 4, false, 4096) == 0);  // all of them are there yet

  // A refusal is remembered as well. cuDNN is asked in two modes.
  const auto refused = [] { CHECK(plan_convolution(0, 4, false, 511) == -1); };
  CHECK(plans_made(refused) == 2);
  CHECK(plans_made(refused) == 0);
}

TEST_CASE("cuda plans: a convolution's second step plans nothing", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  manual_seed(2);
  const Tensor x = Tensor::randn({2, 7, 9, 3}).to(cuda_device()),
               w = Tensor::randn({5, 3, 3, 3}).to(cuda_device());
  CHECK(plans_made([&] { conv2d(x, w); }) == 1);
  CHECK(plans_made([&] { conv2d(x, w); }) == 0);
  CHECK(plans_made([&] { conv2d(x, w, {}, {.stride = 2}); }) == 1);
  set_allow_tf32(true);
  CHECK(plans_made([&] { conv2d(x, w); }) == 1);
  set_allow_tf32(false);
  CHECK(plans_made([&] { conv2d(x, w); }) == 0);
}
