// Faults that are planted into small kernels are noticed by the emulator: by an error, or by a result that is wrong in some
// order of threads. Without the fault the same kernels pass.
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "reprise/tests/cuda_emulated.h"

using namespace reprise::test;
using reprise::emulator::Schedule;

namespace {

constexpr int kCount = 256;
using Formula = std::function<float(int)>;

float reversed(int i) { return static_cast<float>(kCount - 1 - i); }
float twice(int i) { return 2 * static_cast<float>(i); }
float sum_of_warp(int i) {
  float sum = 0;
  for (int k = 0; k < 32; ++k) sum += static_cast<float>(i / 32 * 32 + k);
  return sum;
}

// Passes in every order of threads and blocks, with the work of streams done late and at once.
bool passes(const char* name, const Formula& expected) {
  for (const Schedule schedule : {Schedule::forward, Schedule::reverse, Schedule::random}) {
    const EmulatorSettings settings({.schedule = schedule, .seed = 3});
    std::vector<float> y(kCount, 0);
    if (run_planted(name, y.data()) != 0) return false;
    for (int i = 0; i < kCount; ++i)
      if (!(y[static_cast<std::size_t>(i)] == expected(i))) return false;
  }
  return true;
}

// What the emulator says of it; empty where nothing failed.
std::string fault(const char* name) {
  const EmulatorSettings settings({});
  std::vector<float> y(kCount, 0);
  return run_planted(name, y.data()) == 0 ? "" : emulator_last_fault();
}

}  // namespace

TEST_CASE("cuda: planted faults are noticed, and what has none passes", "[cuda]") {
  if (on_real_gpu()) return;
  CHECK(passes("reverse", reversed));
  CHECK(passes("twice", twice));
  CHECK(passes("sum of warps", sum_of_warp));

  CHECK(fault("reverse in too little shared memory") ==
        "reverse in too little shared memory touches an address that is not the device's");
  CHECK(fault("a barrier in half of the block") ==
        "a barrier in half of the block waits at __syncthreads for threads that do not come");
  CHECK(fault("twice, one too many") == "twice, one too many touches memory that it was not given");
  CHECK_FALSE(passes("twice, one too few", twice));  // NaN stays at the end
  CHECK_FALSE(passes("twice, of the host's memory", twice));
  CHECK(fault("twice, on a released operand") ==
        "twice, on a released operand touches memory that it was not given");
  CHECK(fault("sum of warps, half of the lanes") ==
        "sum of warps, half of the lanes waits in a warp operation for lanes that do not come");
  CHECK_FALSE(passes("twice, read too early", twice));
}

// Each computes what it should where threads run one after the other, as they do in the emulator.
TEST_CASE("cuda: planted races are noticed, and what has none passes", "[cuda]") {
  if (on_real_gpu()) return;
  CHECK(passes("four times", [](int i) { return 4 * static_cast<float>(i); }));
  CHECK(passes("add neighbours", [](int i) { return static_cast<float>(i / 2 * 4 + 1); }));
  CHECK(passes("swap twice", [](int i) { return static_cast<float>(i); }));

  CHECK(fault("four times without an atomic") ==
        "four times without an atomic has a race: thread 0 of block 1 reads what another block wrote");
  CHECK(fault("add neighbours without an atomic") ==
        "add neighbours without an atomic has a race: thread 1 of block 0 reads what another thread of its "
        "block wrote");
  CHECK(fault("reverse without a barrier") ==
        "reverse without a barrier has a race: thread 128 of block 0 writes what another thread of its block "
        "read");
  CHECK(fault("swap twice, read too early") ==
        "swap twice, read too early has a race: thread 1 of block 0 writes what another thread of its block "
        "read");
  CHECK(fault("swap twice, written too early") ==
        "swap twice, written too early has a race: thread 1 of block 0 reads what another thread of its "
        "block wrote");
}

TEST_CASE("cuda: an event that is forgotten between kernels and copies beside them is noticed", "[cuda]") {
  if (on_real_gpu()) return;
  // In some order of streams y is not 4 x; what the emulator says of it.
  const auto noticed = [](const char* name) {
    std::string said;
    bool wrong = false;
    for (const Schedule schedule : {Schedule::forward, Schedule::reverse, Schedule::random}) {
      const EmulatorSettings settings({.schedule = schedule, .seed = 3});
      std::vector<float> y(kCount, 0);
      wrong |= run_planted_copies(name, y.data()) != 0;
      for (int i = 0; i < kCount; ++i)
        wrong |= !(y[static_cast<std::size_t>(i)] == 4 * static_cast<float>(i));
      if (said.empty()) said = emulator_last_fault();
    }
    return wrong ? "noticed: " + said : "";
  };
  CHECK(noticed("no fault").empty());
  CHECK(noticed("out too early") == "noticed: ");  // the numbers are wrong
  CHECK(noticed("read back too early") == "noticed: ");
  CHECK(noticed("host memory read too early") == "noticed: ");
  CHECK(noticed("released too early") == "noticed: a copy touches memory that was released before it ran");
  CHECK(noticed("released while it is read") == "noticed: twice again touches memory that it was not given");
  CHECK(noticed("host memory given back too early") ==
        "noticed: a copy touches memory that was released before it ran");
}

TEST_CASE("cuda: a product with swapped leading dimensions is noticed", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({});
  std::vector<float> a(16 * 8), b(8 * 32), y(16 * 32, 0);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 5);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 7);
  REQUIRE(run_planted_product(false, a.data(), b.data(), y.data()) == 0);
  for (std::size_t m = 0; m < 16; ++m)
    for (std::size_t n = 0; n < 32; ++n) {
      float expected = 0;
      for (std::size_t k = 0; k < 8; ++k) expected += a[m * 8 + k] * b[k * 32 + n];
      CHECK(y[m * 32 + n] == expected);
    }
  CHECK(run_planted_product(true, a.data(), b.data(), y.data()) != 0);
}
