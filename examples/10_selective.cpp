// Selective recomputation: keep what is dear to compute, recompute the rest. A Transformer spends nearly all its
// operations in products and attention, but half of its memory on norms, activations and dropout.
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <vector>

#include "reprise/reprise.h"

using namespace reprise;
using checkpoint::Policy;

struct Measured {
  std::size_t peak;
  double replayed;  // floating-point operations
  std::vector<double> gradient;
};

Measured step(nn::Model& gpt, const Tensor& x, const Tensor& y, const Policy& policy) {
  manual_seed(2);
  for (const Tensor& parameter : gpt.parameters()) parameter.set_grad({});
  nn::enable_checkpointing(gpt, policy);
  const std::size_t before = memory::live(Device::cpu());
  memory::reset_peak(Device::cpu());
  Tape tape;
  tape.backward(cross_entropy(gpt(x), y));
  return {memory::peak(Device::cpu()) - before, tape.replayed_flops(),
          gpt.parameters()[0].grad().to_vector()};
}

int main() {
  manual_seed(1);
  nn::Model gpt = nn::make_gpt({.context = 64, .layers = 6, .width = 96, .heads = 3, .dropout = 0.1});
  const Tensor x = (65 * Tensor::rand({8, 64})).to(DType::i64),
               y = (65 * Tensor::rand({8, 64})).to(DType::i64);

  struct Row {
    const char* name;
    Policy policy;
  };
  const Row rows[] = {
      {"keep all", Policy::none()},
      {"keep products and attention", Policy::save_only({"linear", "matmul", "attention_qkv"})},
      {"recompute all", Policy::full()},
  };
  std::vector<Measured> measured;
  std::cout << "within a block                peak activations   replayed\n";
  for (const Row& row : rows) {
    measured.push_back(step(gpt, x, y, row.policy));
    std::cout << std::left << std::setw(30) << row.name << std::right << std::setw(12)
              << measured.back().peak / 1024 << " KiB" << std::setw(11) << std::fixed << std::setprecision(1)
              << measured.back().replayed / 1e6 << " Mflop\n";
  }
  const Measured &all = measured[0], &selective = measured[1], &nothing = measured[2];
  const bool equal = all.gradient == selective.gradient && all.gradient == nothing.gradient;
  std::cout << "gradients equal, bit for bit: " << (equal ? "yes" : "no") << '\n';
  return equal && 5 * selective.peak < 4 * all.peak && selective.replayed < 0.1 * nothing.replayed
             ? EXIT_SUCCESS
             : EXIT_FAILURE;
}
