// Attention's memory: composed of matmul and softmax it keeps a matrix of weights, [queries, keys] for each head, and
// grows with the square of the sequence; the op `attention` makes the weights tile by tile, twice, and keeps none.
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include "reprise/reprise.h"

using namespace reprise;

constexpr std::int64_t kTokens = 1024, kHeads = 2, kHeadDim = 32;  // of a step, whatever the sequence

Tensor composed(const Tensor& q, const Tensor& k, const Tensor& v) {
  const Tensor heads_first = permute(q, {0, 2, 1, 3});  // [batch, heads, sequence, head_dim]
  Tensor scores = matmul(heads_first, permute(k, {0, 2, 3, 1})) * (1 / std::sqrt(double{kHeadDim}));
  return permute(matmul(softmax(std::move(scores), -1), permute(v, {0, 2, 1, 3})), {0, 2, 1, 3});
}

Tensor tiled(const Tensor& q, const Tensor& k, const Tensor& v) { return attention(q, k, v); }

struct Measured {
  std::size_t peak;
  std::vector<double> gradient;
};

template <class Attention>
Measured step(Attention attend, std::int64_t sequence) {
  manual_seed(1);
  std::vector<Tensor> qkv;
  for (int i = 0; i < 3; ++i) {
    qkv.push_back(Tensor::randn({kTokens / sequence, sequence, kHeads, kHeadDim}));
    qkv.back().set_requires_grad(true);
  }
  const std::size_t before = memory::live(Device::cpu());
  memory::reset_peak(Device::cpu());
  Tape tape;
  Tensor y = attend(qkv[0], qkv[1], qkv[2]);
  tape.backward(sum(y * y));
  return {memory::peak(Device::cpu()) - before, qkv[1].grad().to_vector()};
}

int main() {
  std::size_t least = SIZE_MAX, most = 0;
  std::cout << "sequence   composed       tiled\n";
  for (const std::int64_t sequence : {64, 256, 1024}) {
    const Measured a = step(composed, sequence), b = step(tiled, sequence);
    std::cout << std::setw(8) << sequence << std::setw(7) << a.peak / 1024 << " KiB" << std::setw(8)
              << b.peak / 1024 << " KiB\n";
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < a.gradient.size(); ++i) {
      difference += std::pow(a.gradient[i] - b.gradient[i], 2);
      size += std::pow(a.gradient[i], 2);
    }
    if (!(std::sqrt(difference / size) < 1e-5)) return EXIT_FAILURE;  // the same gradients, but for rounding
    least = std::min(least, b.peak);
    most = std::max(most, b.peak);
  }
  std::cout
      << "at the same number of tokens the tiled form needs the same memory, however long the sequence\n";
  return 10 * most < 11 * least ? EXIT_SUCCESS : EXIT_FAILURE;
}
