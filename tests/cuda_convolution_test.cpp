// The bias of a convolution on CUDA: where it is added, and how y is rounded.
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "reprise/ops/ops.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// Multiples of 1 / `denominator` in f32, of which products and their sums are exact.
Tensor fractions(const Shape& shape, std::int64_t most, float denominator) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    values.push_back(static_cast<float>(i * 7919 % (2 * most + 1) - most) / denominator);
  return Tensor::from(values, shape);
}

struct Case {
  Tensor x, weight, bias;
  explicit Case(std::int64_t outputs)
      : x(fractions({2, 5, 6, 3}, 64, 8)),
        weight(fractions({outputs, 3, 3, 3}, 63, 8)),
        bias(fractions({outputs}, 127, 64)) {}

  Tensor on_cuda(DType dtype) const {
    const auto there = [&](const Tensor& t) { return t.to(dtype).to(cuda_device()); };
    return conv2d(there(x), there(weight), there(bias)).to(Device::cpu());
  }
  Tensor rounded_once(DType dtype) const {
    return conv2d(x.to(DType::f64), weight.to(DType::f64), bias.to(DType::f64)).to(dtype);
  }
  Tensor rounded_twice(DType dtype) const {
    const Tensor products = conv2d(x.to(DType::f64), weight.to(DType::f64)).to(dtype);
    return (products.to(DType::f64) + bias.to(DType::f64)).to(dtype);
  }
};

}  // namespace

TEST_CASE("cuda conv2d: a bias is added in cuDNN's graph, in f32, and y is rounded once", "[cuda]") {
  const EmulatorSettings settings({});
  const Case c(5);
  for (const DType dtype : {DType::bf16, DType::f16}) {
    INFO(to_string(dtype));
    REQUIRE_FALSE(same_bits(c.rounded_once(dtype), c.rounded_twice(dtype)));
    const emulator::Statistics before = on_real_gpu() ? emulator::Statistics{} : emulator_statistics();
    CHECK(same_bits(c.on_cuda(dtype), c.rounded_once(dtype)));
    if (on_real_gpu()) continue;
    CHECK(emulator_statistics().cudnn_runs == before.cudnn_runs + 1);
    CHECK(emulator_statistics().launches == before.launches);  // no kernel of our own
  }
}

TEST_CASE("cuda conv2d: where cuDNN refuses a bias our own kernel adds it", "[cuda]") {
  if (on_real_gpu()) return;
  const EmulatorSettings settings({.no_bias_in_convolutions = true});
  const Case c(7);  // a graph that no other test has planned
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    INFO(to_string(dtype));
    const emulator::Statistics before = emulator_statistics();
    CHECK(same_bits(c.on_cuda(dtype), c.rounded_twice(dtype)));
    CHECK(emulator_statistics().cudnn_runs == before.cudnn_runs + 1);
    CHECK(emulator_statistics().launches == before.launches + 1);
  }
}

TEST_CASE("cuda conv2d: operands that begin at no multiple of 16 bytes, with a bias", "[cuda]") {
  const EmulatorSettings settings({});
  const Case c(5);
  for (const DType dtype : {DType::bf16, DType::f16}) {
    INFO(to_string(dtype));
    // Behind an image of 5 x 6 x 3 numbers, which are no multiple of 16 bytes.
    const Tensor second = c.x.to(dtype).to(cuda_device()).slice(1, 2);
    const Tensor y = conv2d(second, c.weight.to(dtype).to(cuda_device()), c.bias.to(dtype).to(cuda_device()));
    CHECK(same_bits(y.to(Device::cpu()), c.rounded_twice(dtype).slice(1, 2)));
  }
}
