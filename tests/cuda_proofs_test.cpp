// That CUDA lacks no kernel: slot by slot, and for a training step of every ready model.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "reprise/core/dry_run.h"
#include "reprise/core/error.h"
#include "reprise/core/kernel_slot.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/cuda_kernels.h"
#include "reprise/tests/kernel_slots.h"
#include "reprise/tests/model_subject.h"

using namespace reprise;
using namespace reprise::test;

TEST_CASE("kernel slots: the list has every one that a header declares", "[cuda]") {
  int declared = 0;
  for (const char* folder : {"core", "autograd", "ops"})
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(REPRISE_SOURCE_DIR) / folder)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) declared += line.starts_with("extern KernelSlot<");
    }
  CHECK(AllKernelSlots::count == declared);
  std::set<const void*> distinct;
  AllKernelSlots::for_each([&]<auto & slot>() { distinct.insert(&slot); });
  CHECK(distinct.size() == static_cast<std::size_t>(declared));
}

TEST_CASE("cuda: every kernel that the CPU has", "[cuda]") {
  const std::set<KernelName> there = cuda_kernels();
  for (const KernelName& kernel : cpu_kernels()) {
    INFO(kernel.op << " in " << to_string(kernel.dtype));
    CHECK(there.contains(kernel));
  }
}

TEST_CASE("cuda: nvcc's plugin fills the slots that the emulated one fills", "[cuda]") {
  const std::set<KernelName> compiled = compiled_kernels();
  if (compiled.empty()) return;  // not built here: no nvcc
  CHECK(compiled.size() > 200);
  CHECK(compiled == cuda_kernels());
}

namespace {

// Where a step of a ready model finds no kernel; empty: nowhere.
std::string missing_kernel(const char* model, DType dtype) {
  Subject subject(model, dtype);
  if (subject.model.input_dtype() != DType::i64) subject.x = subject.x.to(dtype);
  subject.to(cuda_device());
  const DryRun dry;
  try {
    Tape tape;
    subject.step()(tape);
  } catch (const UserError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("cuda: no op of a ready model lacks a kernel, in f32, bf16 and f64", "[cuda]") {
  const EmulatorSettings settings({});
  for (const char* model : {"mlp", "lenet", "resnet18", "resnet50", "chain", "gpt"})
    for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
      INFO(model << " in " << to_string(dtype));
      CHECK(missing_kernel(model, dtype).empty());
    }
  for (const char* op : {"conv2d", "relu_backward", "cross_entropy"}) {
    const MissingKernel missing(op, DType::bf16);
    CHECK_THAT(missing_kernel("lenet", DType::bf16), Catch::Contains(op));
    CHECK(missing_kernel("lenet", DType::f32).empty());
  }
}
