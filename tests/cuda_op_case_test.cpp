// The list of op cases on a CUDA device: emulated, with threads and blocks in several orders, or real.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/cuda_kernels.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;
using emulator::Schedule;

namespace {

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
    for (const OpCase& op_case : op_cases()) {
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

TEST_CASE("cuda op cases: f64 agrees with the plain CPU kernels to the last digits", "[cuda]") {
  const Device device = cuda_device();
  for (const OpCase& op_case : op_cases()) {
    INFO(op_case.name);
    const EmulatorSettings settings({});
    try_case([&] {
      const std::vector<Tensor> inputs = make_inputs(op_case, DType::f64, 1, device);
      check_close(run(op_case, inputs), exact_result(op_case, inputs, DType::f64), 1e-12);
    });
  }
}

TEST_CASE("cuda op cases: the same bits in whatever order threads and blocks run", "[cuda]") {
  if (on_real_gpu()) return;
  const Device device = cuda_device();
  for (const OpCase& op_case : op_cases()) {
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

namespace {

// What the real cuDNN plans of the op cases' graphs: by names, the GPUs. Empty where cuDNN is not there.
std::map<std::string, std::string> planned_cases() {
  std::map<std::string, std::string> result;
  if (std::string(REPRISE_CUDA_PLANNING).empty()) return result;
  const std::string command =
      "LD_LIBRARY_PATH=" REPRISE_MOCK_DRIVER ":$LD_LIBRARY_PATH " REPRISE_CUDA_PLANNING " --cases";
  std::FILE* output = popen(command.c_str(), "r");
  REQUIRE(output);
  char line[512];
  while (std::fgets(line, sizeof line, output)) {
    const std::string text = line;
    const std::size_t tab = text.find('\t');
    if (tab != std::string::npos) result[text.substr(0, tab)] = text.substr(tab + 1, text.size() - tab - 2);
  }
  CHECK(pclose(output) == 0);
  return result;
}

std::int64_t library_graphs() { return on_real_gpu() ? 0 : emulator_statistics().cudnn_runs; }

}  // namespace

// Printed by build/release/reprise_tests "[cuda-proofs]". compiled: nvcc's plugin fills every kernel that the case ran in f32
// and bf16; emulated, or GPU: the largest relative rms error of the result and its gradients; planned: for which GPUs the real
// cuDNN has plans for the graphs that the case ran, "-" where it ran none.
TEST_CASE("cuda proofs: each op case, and how its kernels are proven", "[.][slow][cuda-proofs]") {
  const Device device = cuda_device();
  const EmulatorSettings settings({});
  const std::set<KernelName> compiled = compiled_kernels();
  const std::map<std::string, std::string> planned = planned_cases();
  const char* where = on_real_gpu() ? "GPU" : "emulated";
  fmt::print("{:62} {:>8} {:>13} {:>13}  {:20} {}\n", "op case", "compiled", fmt::format("{} f32", where),
             fmt::format("{} bf16", where), "planned", "run on a GPU");
  for (const OpCase& op_case : op_cases()) {
    INFO(op_case.name);
    std::string errors[2];
    const std::int64_t graphs_before = library_graphs();
    const NotedKernels noted;
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
    const bool all_compiled = std::includes(compiled.begin(), compiled.end(), NotedKernels::run().begin(),
                                            NotedKernels::run().end());
    const bool has_graphs = library_graphs() > graphs_before;
    const auto gpus = planned.find(op_case.name);
    std::string plans = has_graphs ? (gpus == planned.end() ? "no" : gpus->second) : "-";
    if (planned.empty()) plans = "no cuDNN";
    fmt::print("{:62} {:>8} {:>13} {:>13}  {:20} {}\n", op_case.name, all_compiled ? "yes" : "no", errors[0],
               errors[1], plans, on_real_gpu() ? "yes" : "not yet");
    CHECK((all_compiled || compiled.empty()));
    if (has_graphs && !planned.empty()) CHECK(plans == "A100, H100, RTX 5090");
  }
}
