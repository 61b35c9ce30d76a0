// Revolve: 1,000 equal steps with room for c of their inputs. The replays are the known optimum, r l - C(c + r, c + 1).
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include "reprise/checkpoint/forward_pass.h"
#include "reprise/reprise.h"

using namespace reprise;

int main() {
  constexpr std::int64_t kSteps = 1000;
  Tensor x = Tensor::ones({1024});
  x.set_requires_grad(true);
  const checkpoint::Step step = [&](Tape& tape) {
    Tensor h = x;
    for (std::int64_t i = 0; i < kSteps; ++i) h = silu(std::move(h));  // saves its input
    tape.backward(h, {.seed = Tensor::ones({1024})});
  };
  const auto run = [&](TapeOptions options, std::int64_t& replays) {
    x.set_grad({});
    const std::size_t before = memory::live(Device::cpu());
    memory::reset_peak(Device::cpu());
    Tape tape(std::move(options));
    step(tape);
    replays = tape.replays();
    return (memory::peak(Device::cpu()) - before) / x.bytes();
  };
  std::int64_t replays = 0;
  std::cout << "slots   values at the highest   forward steps for each step of the chain\n  all"
            << std::setw(18) << run({}, replays) << std::setw(22) << 1.0 << '\n';
  const std::vector<double> reference = x.grad().to_vector();

  const Trace trace = checkpoint::trace(step);
  const std::vector<std::int32_t> edges = checkpoint::chain_edges(trace);
  for (const std::int64_t slots : {3, 5, 10, 20, 50}) {
    checkpoint::PlanBuilder builder(trace);
    for (const PlanRegion& region : checkpoint::revolve_regions(edges, slots))
      builder.region(region.first, region.last);
    const std::size_t values = run({.plan = std::move(builder).finish()}, replays);
    std::cout << std::setw(5) << slots << std::setw(18) << values << std::setw(22)
              << 1 + static_cast<double>(replays) / kSteps << '\n';
    // The forward pass itself is the schedule's first sweep.
    if (replays != checkpoint::revolve_advances(kSteps, slots) - (kSteps - 1)) return EXIT_FAILURE;
    if (x.grad().to_vector() != reference) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
