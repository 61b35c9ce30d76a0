// A gradient by hand and by the tape: y = sum(tanh(x w)), dy/dw = x (1 - tanh(x w)^2).
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

int main() {
  Tensor x = Tensor::from({1.0F, -2.0F, 3.0F}, {3});
  Tensor w = Tensor::from({0.5F, 0.25F, -1.0F}, {3});
  w.set_requires_grad(true);  // a leaf: backward will leave its gradient in w.grad()

  Tape tape;  // from here on every op is recorded
  Tensor y = sum(tanh(x * w));
  std::cout << "y = " << y.item() << "\n\nwhat the tape holds before backward:\n";
  tape.print(std::cout);

  tape.backward(y);
  std::cout << "\nafter backward, the saved values are gone:\n";
  tape.print(std::cout);

  std::cout << "\n  by the tape    by hand\n";
  for (std::int64_t i = 0; i < 3; ++i) {
    const double t = std::tanh(x.at({i}) * w.at({i}));
    const double by_hand = x.at({i}) * (1 - t * t);
    std::cout << "  " << w.grad().at({i}) << "    " << by_hand << "\n";
    if (std::abs(w.grad().at({i}) - by_hand) > 1e-6) return EXIT_FAILURE;
  }
}
