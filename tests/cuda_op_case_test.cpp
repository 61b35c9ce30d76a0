// The list of op cases on a CUDA device: emulated, with threads and blocks in several orders, or real.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;
using emulator::Schedule;

namespace {

// All but the one that computes in f64, which the CUDA backend leaves to the CPU.
std::vector<OpCase> cases() {
  std::vector<OpCase> result = op_cases();
  std::erase_if(result, [](const OpCase& op_case) { return op_case.name == "cast there and back"; });
  return result;
}

// Runs the check; what one throws is that case's failure, and the next still runs.
template <class Check>
void try_case(Check check) {
  try {
    check();
  } catch (const std::exception& error) {
    FAIL_CHECK(error.what() << (on_real_gpu() ? "" : ": " + emulator_last_fault()));
  }
}

void check_close(const Result& actual, const Result& exact, double tolerance) {
  CHECK(relative_rms_error(actual.y, exact.y) <= tolerance);
  for (std::size_t i = 0; i < exact.gradients.size(); ++i) {
    INFO("gradient " << i);
    REQUIRE(actual.gradients[i].defined() == exact.gradients[i].defined());
    if (exact.gradients[i].defined())
      CHECK(relative_rms_error(actual.gradients[i], exact.gradients[i]) <= tolerance);
  }
}

Result exact_result(const OpCase& op_case, const std::vector<Tensor>& inputs, DType weights) {
  const PlainKernels plain;
  std::vector<Tensor> same;
  for (const Tensor& input : inputs) {
    same.push_back(is_floating(input.dtype()) ? input.detach().to(Device::cpu()).to(DType::f64)
                                              : input.to(Device::cpu()));
    if (input.requires_grad()) same.back().set_requires_grad(true);
  }
  return run(op_case, same, weights);
}

bool same_results(const Result& a, const Result& b) {
  const auto same = [](const Tensor& x, const Tensor& y) {
    return x.defined() == y.defined() &&
           (!x.defined() || same_bits(x.to(Device::cpu()), y.to(Device::cpu())));
  };
  if (!same(a.y, b.y)) return false;
  for (std::size_t i = 0; i < a.gradients.size(); ++i)
    if (!same(a.gradients[i], b.gradients[i])) return false;
  return true;
}

}  // namespace

TEST_CASE("cuda op cases: f32 and bf16 agree with the plain CPU kernels in f64", "[cuda]") {
  const Device device = cuda_device();
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const OpCase& op_case : cases()) {
      if (op_case.large && dtype == DType::bf16) continue;  // the same kernels as in f32
      INFO(op_case.name << ", " << to_string(dtype));
      const EmulatorSettings settings({});
      try_case([&] {
        const std::vector<Tensor> inputs = make_inputs(op_case, dtype, 1, device);
        const Result actual = run(op_case, inputs, dtype);
        check_close(actual, exact_result(op_case, inputs, dtype),
                    dtype == DType::f32 ? op_case.fast_tolerance : op_case.bf16_tolerance);
      });
    }
}

TEST_CASE("cuda op cases: the same bits in whatever order threads and blocks run", "[cuda]") {
  if (on_real_gpu()) return;
  const Device device = cuda_device();
  for (const OpCase& op_case : cases()) {
    if (op_case.large) continue;
    INFO(op_case.name);
    Result first;
    for (const emulator::Settings order :
         {emulator::Settings{.host_locked_out = true}, emulator::Settings{.schedule = Schedule::reverse},
          emulator::Settings{.schedule = Schedule::random, .seed = 7, .lazy = false}}) {
      const EmulatorSettings settings(order);
      try_case([&] {
        const Result result = run(op_case, make_inputs(op_case, DType::f32, 1, device), DType::f32);
        if (first.y.defined())
          CHECK(same_results(first, result));
        else
          first = result;
      });
    }
  }
}

// Printed by build/release/reprise_tests "[cuda-proofs]".
TEST_CASE("cuda proofs: each op case, and how its kernels are proven", "[.][slow][cuda-proofs]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  const char* compiled = std::string(REPRISE_CUDA_PLUGIN).empty() ? "no" : "yes";
  const char* where = on_real_gpu() ? "GPU" : "emulated";
  fmt::print("{:60} {:>8} {:>16} {:>16} {:>8}\n", "op case", "compiled", fmt::format("{} f32", where),
             fmt::format("{} bf16", where), "on a GPU");
  for (const OpCase& op_case : cases()) {
    std::string errors[2];
    for (const DType dtype : {DType::f32, DType::bf16})
      try_case([&] {
        const std::vector<Tensor> inputs = make_inputs(op_case, dtype, 1, device);
        const Result actual = run(op_case, inputs, dtype), exact = exact_result(op_case, inputs, dtype);
        double error = relative_rms_error(actual.y, exact.y);
        for (std::size_t i = 0; i < exact.gradients.size(); ++i)
          if (exact.gradients[i].defined())
            error = std::max(error, relative_rms_error(actual.gradients[i], exact.gradients[i]));
        errors[dtype == DType::bf16] = fmt::format("{:.1e}", error);
      });
    fmt::print("{:60} {:>8} {:>16} {:>16} {:>8}\n", op_case.name, compiled, errors[0], errors[1],
               on_real_gpu() ? "yes" : "not yet");
  }
}
