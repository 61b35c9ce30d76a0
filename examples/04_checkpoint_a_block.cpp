// One block, kept and replayed: watch what happens to the memory, event by event.
#include <cstdlib>
#include <iostream>
#include <string>

#include "reprise/reprise.h"

using namespace reprise;

// Hears everything the tape does, and draws the live bytes.
struct Watch : Observer {
  std::size_t base = memory::live(Device::cpu());
  void on(Event event, NodeId node, const Tensor*, const Tensor*) override {
    static constexpr const char* kNames[] = {"forward", "replay", "backward", "drop",
                                             "offload", "fetch",  "gradient"};
    const std::size_t kibibytes = (memory::live(Device::cpu()) - base) / 1024;
    std::cout << "  " << kNames[static_cast<int>(event)] << " node " << node.i << "\t|"
              << std::string(kibibytes / 8, '#') << ' ' << kibibytes << " KiB\n";
  }
};

Tensor step(const Tensor& x, const Tensor& w, bool checkpointed) {
  auto block = [&](Tensor h) {
    for (int i = 0; i < 3; ++i) h = tanh(matmul(std::move(h), w));
    return h;
  };
  return mean(checkpointed ? checkpoint::run([&] { return block(x); }) : block(x));
}

int main() {
  manual_seed(1);
  Tensor x = Tensor::randn({64, 128}), w = Tensor::randn({128, 128});
  w.set_requires_grad(true);
  std::vector<double> gradients[2];
  for (const bool checkpointed : {false, true}) {
    std::cout << (checkpointed ? "\nthe block is a region: dropped after forward, replayed for backward\n"
                               : "everything kept\n");
    Watch watch;
    {
      Tape tape;
      tape.set_observer(&watch);
      tape.backward(step(x, w, checkpointed));
      std::cout << "  " << tape.replays() << " nodes replayed\n";
    }
    gradients[checkpointed] = w.grad().to_vector();
    w.set_grad({});
  }
  const bool equal = gradients[0] == gradients[1];
  std::cout << "\ngradients equal, bit for bit: " << (equal ? "yes" : "no") << '\n';
  return equal ? EXIT_SUCCESS : EXIT_FAILURE;
}
