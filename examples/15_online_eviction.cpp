// No plan: the step of a program that decides as it runs is kept within a budget by letting go of values under pressure.
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

int main() {
  manual_seed(1);
  std::vector<nn::Linear> layers;
  for (int i = 0; i < 40; ++i) layers.emplace_back(32, 32);
  const Tensor x = Tensor::randn({512, 32});

  // How deep it goes depends on the values, so that no dry run could know.
  const auto forward = [&] {
    Tensor h = x;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      h = tanh(layers[i](std::move(h))) * 1.5;
      if (i > 30 && mean(h * h).item() < 0.01) break;
    }
    return mean(h * h);
  };
  const auto run = [&](std::optional<std::size_t> budget, std::int64_t& replays) {
    for (const nn::Linear& layer : layers) layer.weight.set_grad({}), layer.bias.set_grad({});
    memory::reset_peak(Device::cpu());
    Tape tape;
    std::optional<checkpoint::OnlineEviction> eviction;
    if (budget) eviction.emplace(tape, *budget);
    tape.backward(forward());
    replays = tape.replays();
    return memory::peak(Device::cpu());
  };

  std::int64_t replays = 0;
  const std::size_t base = memory::live(Device::cpu()), all = run({}, replays);
  const std::vector<double> gradient = layers[0].weight.grad().to_vector();
  std::cout << "keeping everything: " << (all - base) / 1024 << " KiB of activations\n";
  for (const std::size_t percent : {60, 40, 25}) {
    const std::size_t budget = base + (all - base) * percent / 100, peak = run(budget, replays);
    std::cout << percent << "%: " << (peak - base) / 1024 << " KiB, " << replays << " nodes run again\n";
    if (peak > budget || layers[0].weight.grad().to_vector() != gradient) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
