// A convolutional network as a Sequential, trained with its two blocks as checkpoint regions.
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

// conv3x3, ReLU, max-pool: a passage of the tape that keeps nothing but its input.
struct ConvBlock : nn::Block {
  nn::Conv2d conv;
  ConvBlock(std::int64_t in, std::int64_t out) : conv(in, out, {.kernel_size = 3, .padding = 1}) {}
  Tensor operator()(Tensor x) {
    return checkpoint::run(policy, [&] { return max_pool2d(relu(conv(std::move(x))), {.kernel_size = 2}); });
  }
  void visit(nn::Visitor& visitor) override { visitor("conv", conv); }
};

int main() {
  manual_seed(1);
  auto model = nn::Sequential(
      ConvBlock(1, 32), ConvBlock(32, 64), [](Tensor x) { return flatten(std::move(x), 1); },
      nn::Linear(3136, 128), relu, nn::Linear(128, 10));
  nn::enable_checkpointing(model, checkpoint::Policy::full());

  const data::FashionMnist train(data::Split::train);
  data::Loader loader(train, {.batch_size = 64, .shuffle = true, .seed = 1});
  optim::SGD optimizer(model.parameters(), {.lr = 0.05, .momentum = 0.9});
  double first = 0, last = 0;
  int step = 0;
  for (auto [x, y] : loader.epoch(0)) {
    optimizer.zero_grad();
    {
      Tape tape;
      Tensor loss = cross_entropy(model(x), y);
      tape.backward(loss);
      last = step == 0 ? first = loss.item() : 0.9 * last + 0.1 * loss.item();
      if (step % 20 == 0)
        std::cout << "step " << step << "  loss " << last << "  replays " << tape.replays() << '\n';
    }
    optimizer.step();
    if (++step == 101) break;
  }
  return last < 0.5 * first ? EXIT_SUCCESS : EXIT_FAILURE;
}
