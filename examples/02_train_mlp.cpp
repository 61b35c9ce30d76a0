// A multilayer perceptron on Fashion-MNIST: module, loader, tape, optimizer.
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

struct Mlp : nn::Module {
  nn::Linear hidden{784, 128}, out{128, 10};
  Tensor operator()(Tensor x) { return out(relu(hidden(flatten(std::move(x), 1)))); }
  void visit(nn::Visitor& visitor) override {
    visitor("hidden", hidden);
    visitor("out", out);
  }
};

double accuracy(Mlp& model, const data::FashionMnist& images) {
  double correct = 0;  // no tape: nothing is recorded and nothing kept
  data::Loader loader(images, {.batch_size = 500});
  for (auto [x, y] : loader.epoch(0)) {
    const Tensor guess = argmax(model(x), 1);
    for (std::int64_t i = 0; i < y.size(0); ++i) correct += guess.at({i}) == y.at({i}) ? 1 : 0;
  }
  return correct / static_cast<double>(images.size());
}

int main() {
  manual_seed(1);
  const data::FashionMnist train(data::Split::train), test(data::Split::test);
  Mlp model;
  optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  data::Loader loader(train, {.batch_size = 64, .shuffle = true, .seed = 1});
  int step = 0;
  for (auto [x, y] : loader.epoch(0)) {
    optimizer.zero_grad();
    {
      Tape tape;
      Tensor loss = cross_entropy(model(x), y);
      if (step % 100 == 0) std::cout << "step " << step << "  loss " << loss.item() << '\n';
      tape.backward(loss);
    }
    optimizer.step();
    ++step;
  }
  const double reached = accuracy(model, test);
  std::cout << "test accuracy after one epoch: " << 100 * reached << "%\n";
  return reached > 0.8 ? EXIT_SUCCESS : EXIT_FAILURE;
}
