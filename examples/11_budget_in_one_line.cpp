// A budget in bytes goes in, a plan comes out: the step's peak is the promised one, to the byte, and the gradients are the same.
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

int main() {
  manual_seed(1);
  nn::Model gpt = nn::make_gpt({.vocabulary = 65, .context = 64, .layers = 6, .width = 64, .heads = 4});
  const Tensor x = Tensor::zeros({8, 64}, {.dtype = DType::i64});
  const auto step = [&](Tape& tape) { tape.backward(cross_entropy(gpt(x), x)); };

  // Weights lie there already; a budget counts them. So: what lives now, and 6 MiB.
  const std::size_t budget = memory::live(Device::cpu()) + MiB(6);
  const Plan plan = checkpoint::plan(step, {.budget = budget});  // the one line

  const auto run = [&](TapeOptions options) {
    for (const Tensor& parameter : gpt.parameters()) parameter.set_grad({});
    memory::reset_peak(Device::cpu());
    {
      Tape tape(std::move(options));
      step(tape);
    }
    return memory::peak_without_data(Device::cpu());
  };
  const std::size_t without = run({});
  const std::vector<double> gradient = gpt.parameters()[0].grad().to_vector();
  const std::size_t with = run({.plan = plan});

  std::cout << "without a plan " << without << " bytes, budget " << budget << ", predicted "
            << plan.predicted_peak() << ", measured " << with << ", " << plan.replays()
            << " nodes run again\n";
  const bool same = gpt.parameters()[0].grad().to_vector() == gradient;
  return same && with == plan.predicted_peak() && with <= budget && without > budget ? EXIT_SUCCESS
                                                                                     : EXIT_FAILURE;
}
