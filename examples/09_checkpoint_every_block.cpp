// One line checkpoints a model: nn::enable_checkpointing gives every Block in it a policy. Here, blocks of a Transformer.
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

// A Block's call is a region under its `policy`: that is all a module of one's own has to do.
struct FeedForward : nn::Block {
  nn::LayerNorm norm{64};
  nn::Linear up{64, 256}, down{256, 64};
  nn::Dropout drop{0.1};
  Tensor operator()(Tensor x) {
    return checkpoint::run(policy, [&] { return x + drop(down(gelu(up(norm(x))))); });
  }
  void visit(nn::Visitor& visitor) override {
    visitor("norm", norm);
    visitor("up", up);
    visitor("down", down);
    visitor("drop", drop);
  }
};

struct Measured {
  std::size_t peak;
  std::int64_t replays;
  std::vector<double> gradient;
};

Measured step(std::vector<FeedForward>& blocks, const Tensor& x) {
  manual_seed(2);  // the same dropout in both steps
  for (FeedForward& block : blocks)
    for (const Tensor& parameter : block.parameters()) parameter.set_grad({});
  const std::size_t before = memory::live(Device::cpu());
  memory::reset_peak(Device::cpu());
  Tape tape;
  Tensor h = x;
  for (FeedForward& block : blocks) h = block(std::move(h));
  tape.backward(mean(h * h));
  return {memory::peak(Device::cpu()) - before, tape.replays(), blocks[0].up.weight.grad().to_vector()};
}

int main() {
  manual_seed(1);
  std::vector<FeedForward> blocks(8);
  const Tensor x = Tensor::randn({16, 32, 64});

  const Measured kept = step(blocks, x);
  for (FeedForward& block : blocks) nn::enable_checkpointing(block, checkpoint::Policy::full());
  const Measured replayed = step(blocks, x);

  std::cout << "everything kept:      " << kept.peak / 1024 << " KiB at the highest\n"
            << "each block a region:  " << replayed.peak / 1024 << " KiB, " << replayed.replays
            << " nodes replayed\n";
  const bool equal = kept.gradient == replayed.gradient;
  std::cout << "gradients equal, bit for bit, dropout included: " << (equal ? "yes" : "no") << '\n';
  return equal && replayed.peak < kept.peak / 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
