// A policy is a function from a node to a decision. This one keeps what took the most arithmetic for a byte, until a share of the
// bytes is spent.
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

int main() {
  manual_seed(1);
  nn::Linear up(64, 256), down(256, 64);
  const Tensor x = Tensor::randn({128, 64});
  const auto block = [&](Tensor h) {
    return down(gelu(up(std::move(h)), {.approximate = Approximate::tanh}));
  };

  std::vector<double> reference;
  std::size_t kept_least = 0, kept_most = 0;
  for (const double flops_per_byte : {1e9, 20.0, 0.0}) {
    // Asked once for each node of the region; the tape obeys.
    const auto policy = checkpoint::Policy::custom([=](const checkpoint::NodeInfo& node) {
      return node.flops >= flops_per_byte * static_cast<double>(node.bytes) ? checkpoint::Decision::keep
                                                                            : checkpoint::Decision::recompute;
    });
    for (const Tensor& leaf : {up.weight, down.weight}) leaf.set_grad({});
    Tape tape;
    const std::size_t before = memory::live(Device::cpu());
    Tensor h = x;
    for (int layer = 0; layer < 4; ++layer) h = checkpoint::run(policy, [&] { return block(std::move(h)); });
    const std::size_t kept = memory::live(Device::cpu()) - before;
    tape.backward(mean(std::move(h)));
    std::cout << "at least " << std::setw(6) << flops_per_byte << " flops a byte: " << std::setw(8) << kept
              << " bytes between forward and backward, " << tape.replays() << " nodes run again\n";
    const std::vector<double> gradient = up.weight.grad().to_vector();
    if (reference.empty()) {
      reference = gradient;
      kept_least = kept;
    }
    kept_most = kept;
    if (gradient != reference) return EXIT_FAILURE;
  }
  return kept_most > kept_least ? EXIT_SUCCESS : EXIT_FAILURE;
}
