// What the tape costs for an op that computes next to nothing: recording an add of one element, and its share of a
// backward. Run: build/benchmarks/tape_overhead
#include <benchmark/benchmark.h>

#include "reprise/autograd/tape.h"
#include "reprise/ops/ops.h"

using namespace reprise;

namespace {

constexpr int kOps = 1000;

Tensor chain_of_adds(const Tensor& x) {
  Tensor y = x;
  for (int i = 0; i < kOps; ++i) y = add(std::move(y), x);
  return y;
}

void without_tape(benchmark::State& state) {
  const Tensor x = Tensor::ones({1});
  for (auto _ : state) benchmark::DoNotOptimize(chain_of_adds(x));
  state.SetItemsProcessed(state.iterations() * kOps);
}
BENCHMARK(without_tape);

void record(benchmark::State& state) {
  const Tensor x = Tensor::ones({1}, {.requires_grad = true});
  for (auto _ : state) {
    Tape tape;
    benchmark::DoNotOptimize(chain_of_adds(x));
  }
  state.SetItemsProcessed(state.iterations() * kOps);
}
BENCHMARK(record);

void record_and_backward(benchmark::State& state) {
  const Tensor x = Tensor::ones({1}, {.requires_grad = true});
  for (auto _ : state) {
    Tape tape;
    tape.backward(chain_of_adds(x));
    x.set_grad({});
  }
  state.SetItemsProcessed(state.iterations() * kOps);
}
BENCHMARK(record_and_backward);

}  // namespace

BENCHMARK_MAIN();
