// linear_cross_entropy on a CUDA device where something is empty, and what it keeps of the logits.
#include <catch2/catch.hpp>
#include <cmath>

#include "reprise/autograd/tape.h"
#include "reprise/core/memory.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"

using namespace reprise;
using namespace reprise::test;

namespace {

struct Gradients {
  Tensor loss, dx, dw;
};

Gradients run(std::int64_t positions, std::int64_t in, std::int64_t classes, std::int64_t target) {
  const Device device = cuda_device();
  const TensorOptions options{.device = device, .requires_grad = true};
  const Tensor x = Tensor::ones({positions, in}, options), w = Tensor::ones({classes, in}, options);
  const Tensor targets =
      Tensor::full({positions}, static_cast<double>(target), {.dtype = DType::i64}).to(device);
  Tape tape;
  const Tensor loss = linear_cross_entropy(x, w, targets);
  const Tensor wanted[] = {x, w};
  const auto gradients = tape.gradients(loss, wanted);
  return {loss, gradients[0], gradients[1]};
}

bool all_zero(const Tensor& x) {
  for (const double value : x.to_vector())
    if (value != 0) return false;
  return true;
}

}  // namespace

TEST_CASE("cuda linear_cross_entropy: of no positions, of no features, of ignored ones only", "[cuda]") {
  const EmulatorSettings settings({});
  const Gradients none = run(0, 3, 4, 0);
  CHECK(std::isnan(none.loss.item()));
  CHECK(none.dx.shape() == Shape{0, 3});
  CHECK(all_zero(none.dw));
  const Gradients featureless = run(5, 0, 4, 1);
  CHECK(featureless.loss.item() == Approx(std::log(4.0)));
  CHECK(featureless.dw.shape() == Shape{4, 0});
  const Gradients ignored = run(5, 3, 4, -100);
  CHECK(std::isnan(ignored.loss.item()));
  CHECK(all_zero(ignored.dx));
  CHECK(all_zero(ignored.dw));
}

TEST_CASE("cuda linear_cross_entropy: memory does not hold every position's logits", "[cuda]") {
  if (on_real_gpu()) return;  // its chunks are larger than this
  const EmulatorSettings settings({});
  memory::reset_peak(cuda_device());
  const std::size_t before = memory::live(cuda_device());
  run(4000, 2, 256, 1);
  CHECK(memory::peak(cuda_device()) - before < 4000 * 256 * sizeof(float) / 4);
}
