// 100 layers in k segments: the memory falls to O(sqrt(n)) for one more forward pass.
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <memory>
#include <vector>

#include "reprise/reprise.h"

using namespace reprise;

struct Layer : nn::Module {
  nn::Linear linear{64, 64};
  Tensor operator()(Tensor x) { return tanh(linear(std::move(x))); }
  void visit(nn::Visitor& visitor) override { visitor("linear", linear); }
};

struct Chain : nn::Module {
  std::vector<Layer> layers = std::vector<Layer>(100);
  void visit(nn::Visitor& visitor) override { visitor("layers", layers); }
};

int main() {
  manual_seed(1);
  Chain chain;
  const Tensor x = Tensor::randn({512, 64});
  std::vector<double> reference;
  std::size_t kept_all = 0, at_sqrt = 0;
  std::cout << "segments   peak activations   replayed nodes   gradients\n";
  for (const int segments : {1, 2, 5, 10, 20, 50, 100}) {
    for (const Tensor& parameter : chain.parameters()) parameter.set_grad({});
    const std::size_t before = memory::live(Device::cpu());
    memory::reset_peak(Device::cpu());
    std::int64_t replays = 0;
    {
      Tape tape;
      tape.backward(mean(checkpoint::sequential(chain.layers, segments, x)));
      replays = tape.replays();
    }
    const std::size_t peak = memory::peak(Device::cpu()) - before;
    const std::vector<double> gradient = chain.layers[0].linear.weight.grad().to_vector();
    if (segments == 1) {
      reference = gradient;
      kept_all = peak;
    }
    if (segments == 10) at_sqrt = peak;
    const bool equal = gradient == reference;
    std::cout << std::setw(8) << segments << std::setw(15) << peak / 1024 << " KiB" << std::setw(17)
              << replays << "   " << (equal ? "equal" : "DIFFERENT") << '\n';
    if (!equal) return EXIT_FAILURE;
  }
  return at_sqrt < kept_all / 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
