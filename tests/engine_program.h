#pragma once
// What the tests of the tape run: a few ops with saves that ours do not have, and a model of residual blocks that has
// something of everything (an op with statistics, an op with two results, dropout, views, shared values), all in f64.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/checkpoint/checkpoint.h"
#include "reprise/core/tensor.h"

namespace reprise::test {

// ---- ops

// sin x. Saves its input.
Tensor sine(Tensor x);
// tanh x. Saves its output.
Tensor squash(Tensor x);
// sin x and cos x: two outputs, both differentiable, both saved.
std::pair<Tensor, Tensor> sincos(Tensor x);
// x squared, and the largest element, which carries no gradient. Saves both the input and the second output.
std::pair<Tensor, Tensor> square_and_largest(Tensor x);
// 2 x, and never replayed. The counter counts its forward runs.
Tensor twice_never_replayed(Tensor x, std::shared_ptr<int> runs = {});

// ---- exact comparison

using Bits = std::vector<std::uint64_t>;
Bits bits(const Tensor& tensor);                            // of an f64 tensor; empty: undefined
Bits bits(std::span<const Tensor> tensors);                 // one after another
std::vector<Tensor> grads(std::span<const Tensor> leaves);  // their .grad
void release_grads(std::span<const Tensor> leaves);

Tensor random_leaf(const Shape& shape, std::uint64_t seed, double scale = 1);  // f64, requires a gradient
Tensor random_constant(const Shape& shape, std::uint64_t seed, double scale = 1);

// ---- measuring

std::size_t live_bytes();
// The bytes above what was live at the start that the step has at its peak.
std::size_t peak_of(const std::function<void()>& step);
struct Prediction {
  std::size_t peak;
  std::int64_t replays;
};
// A dry run of the step, which returns its replays.
Prediction predict(const std::function<std::int64_t()>& step);

// A plan, without regions, for steps with this forward.
Plan plan_for(const std::function<Tensor()>& forward);

// ---- the model

enum class Style { none, each, square_root, nested, deep, selective, offloaded };
inline constexpr Style kStyles[] = {Style::none, Style::each,      Style::square_root, Style::nested,
                                    Style::deep, Style::selective, Style::offloaded};
const char* name(Style style);

class ResidualBlocks {
 public:
  // Non-view nodes of a block: all of them run again where its output is needed, and this many where its own
  // backward is.
  static constexpr std::int64_t kNodesForOutput = 12, kNodesForBackward = 10;

  explicit ResidualBlocks(int blocks = 6, std::int64_t batch = 8);
  Tensor forward(Style style);  // the loss
  Tensor block(Tensor h, int k);

  // One step on a tape of its own: random numbers from the start, gradients released before, left in the leaves.
  std::int64_t step(Style style, TapeOptions options = {});
  // Bits of all gradients (in a dry run: nothing).
  Bits gradients() const { return bits(grads(leaves)); }
  void reset();  // releases gradients, and puts the random numbers to the start

  std::vector<Tensor> leaves;
  Tensor x;
  int blocks;

 private:
  Tensor tree(Tensor h, int first, int last);
};

}  // namespace reprise::test
