// Makes a tensor, adds it to itself and takes a gradient, with the installed headers and library alone.
#include <iostream>

#include "reprise/reprise.h"

int main() {
  reprise::Tensor x = reprise::Tensor::ones({2, 3}, {.requires_grad = true});
  reprise::Tape tape;
  tape.backward(reprise::sum(x + x));
  const double gradient = x.grad().at({1, 2});
  std::cout << "d sum(x + x) / dx = " << gradient << '\n';
  return gradient == 2.0 ? 0 : 1;
}
