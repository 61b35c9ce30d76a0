// Attention on a CUDA device: cuDNN's graphs in 16 bits where it has an engine, our own kernels elsewhere.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"
#include "reprise/ops/statistics.h"
#include "reprise/tests/cuda_emulated.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;

namespace {

struct Case {
  std::int64_t queries, keys, heads, key_heads, head_dim;
  bool causal = false, packed = false;
  DType dtype = DType::bf16;
  std::int64_t batch = 2;
  double scale = 0;  // 0: 1 / sqrt(head_dim)
  double dropout = 0;
  bool mask = false;
  bool frozen_keys = false;
  bool shifted = false;  // the operands begin at no multiple of 16 bytes
};

std::string to_string(const Case& c) {
  return fmt::format("{}: batch {}, {} queries, {} keys, {} of {} heads, head_dim {}, causal {}, packed {}",
                     reprise::to_string(c.dtype), c.batch, c.queries, c.keys, c.key_heads, c.heads,
                     c.head_dim, c.causal, c.packed);
}

// Of values that 16 bits hold, in f64 on the CPU: q, k, v or qkv.
std::vector<Tensor> make_inputs(const Case& c) {
  manual_seed(7);
  std::vector<Shape> shapes = {{c.batch, c.queries, c.heads, c.head_dim},
                               {c.batch, c.keys, c.key_heads, c.head_dim},
                               {c.batch, c.keys, c.key_heads, c.head_dim}};
  if (c.packed) shapes = {{c.batch, c.queries, 3, c.heads, c.head_dim}};
  std::vector<Tensor> inputs;
  for (const Shape& shape : shapes) inputs.push_back(Tensor::randn(shape).to(c.dtype).to(DType::f64));
  return inputs;
}

// The tensor behind one element of another's storage.
Tensor shift(const Tensor& x) {
  Tensor before = Tensor::zeros({1}, {.device = x.device(), .dtype = x.dtype()});
  return cat(0, std::move(before), x.reshape({x.numel()}))
      .slice(1, x.numel() + 1)
      .reshape(x.shape())
      .detach();
}

Result run(const Case& c, Device device, DType dtype) {
  std::vector<Tensor> inputs;
  for (const Tensor& value : make_inputs(c)) {
    Tensor input = value.to(dtype).to(device);
    inputs.push_back(c.shifted ? shift(input) : input);
    inputs.back().set_requires_grad(!(c.frozen_keys && inputs.size() == 2));
  }
  AttentionOptions options{.causal = c.causal, .dropout = c.dropout};
  if (c.scale != 0) options.scale = c.scale;
  if (c.mask) options.mask = Tensor::zeros({c.queries, c.keys}).to(statistics_dtype(dtype)).to(device);
  manual_seed(5);
  Tape tape;
  const Tensor y =
      c.packed ? attention_qkv(inputs[0], options) : attention(inputs[0], inputs[1], inputs[2], options);
  const Tensor seed = weights_like(y, 3).to(Device::cpu()).to(c.dtype).to(dtype).to(device);
  std::vector<Tensor> wanted;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) wanted.push_back(input);
  return {y, tape.gradients(y, wanted, {.seed = seed})};
}

double norm(const Tensor& x) {
  double sum = 0;
  for (const double value : x.to_vector()) sum += value * value;
  return std::sqrt(sum);
}

void check_against_cpu(const Case& c) {
  const Result actual = run(c, cuda_device(), c.dtype);
  const Result exact = [&] {
    const PlainKernels plain;
    return run(c, Device::cpu(), DType::f64);
  }();
  // A few roundings to 16 bits, of the weights and of the scores' gradients too.
  const double tolerance = c.dtype == DType::bf16 ? 1e-2 : c.dtype == DType::f16 ? 2e-3 : 3e-6;
  CHECK(relative_rms_error(actual.y, exact.y) <= tolerance);
  for (std::size_t i = 0; i < exact.gradients.size(); ++i) {
    INFO("gradient " << i);
    if (norm(exact.gradients[i]) == 0)  // of one key that is seen: its weight is 1 whatever its score
      CHECK(norm(actual.gradients[i]) < 0.05);
    else
      CHECK(relative_rms_error(actual.gradients[i], exact.gradients[i]) <= tolerance);
  }
}

std::int64_t cudnn_runs() { return on_real_gpu() ? 0 : emulator_statistics().cudnn_runs; }

}  // namespace

TEST_CASE("cuda attention: on cuDNN in 16 bits, forward and backward, with the CPU's results", "[cuda]") {
  struct Expected {
    Case c;
    std::int64_t runs;  // of cuDNN's graphs: forward, and backward once for each part of the batch
  };
  const Expected expected = GENERATE(
      Expected{{.queries = 12, .keys = 12, .heads = 3, .key_heads = 3, .head_dim = 16}, 2},
      Expected{{.queries = 33, .keys = 33, .heads = 2, .key_heads = 2, .head_dim = 64, .causal = true}, 2},
      Expected{{.queries = 20,
                .keys = 20,
                .heads = 2,
                .key_heads = 2,
                .head_dim = 32,
                .causal = true,
                .packed = true},
               2},
      Expected{{.queries = 8,
                .keys = 20,
                .heads = 2,
                .key_heads = 2,
                .head_dim = 8,
                .causal = true,
                .dtype = DType::f16},
               2},
      Expected{{.queries = 20,
                .keys = 8,
                .heads = 2,
                .key_heads = 2,
                .head_dim = 24,
                .causal = true,
                .scale = 0.3},
               2},
      Expected{{.queries = 9, .keys = 17, .heads = 6, .key_heads = 2, .head_dim = 16}, 2},
      Expected{{.queries = 1, .keys = 17, .heads = 2, .key_heads = 2, .head_dim = 16}, 2},
      // More entries than the emulator's workspace has room for at once.
      Expected{
          {.queries = 40, .keys = 130, .heads = 2, .key_heads = 2, .head_dim = 8, .causal = true, .batch = 6},
          3},
      Expected{
          {.queries = 24, .keys = 24, .heads = 8, .key_heads = 8, .head_dim = 16, .packed = true, .batch = 4},
          5});
  INFO(to_string(expected.c));
  const EmulatorSettings settings({});
  const std::int64_t before = cudnn_runs();
  check_against_cpu(expected.c);
  if (!on_real_gpu()) CHECK(cudnn_runs() - before == expected.runs);
}

TEST_CASE("cuda attention: our own kernels where cuDNN has none, or draws other numbers", "[cuda]") {
  struct Expected {
    Case c;
    std::int64_t runs;
  };
  const Case base{.queries = 12, .keys = 12, .heads = 2, .key_heads = 2, .head_dim = 16};
  const auto with = [&](auto change) {
    Case c = base;
    change(c);
    return c;
  };
  const std::vector<Expected> list = {
      {with([](Case& c) { c.dtype = DType::f32; }), 0},
      {with([](Case& c) { c.dropout = 0.3; }), 0},
      {with([](Case& c) { c.mask = true; }), 0},
      {with([](Case& c) { c.shifted = true; }), 0},
      {with([](Case& c) { c.head_dim = 20; }), 0},
      {with([](Case& c) { c.head_dim = 136; }), 1},      // forward only
      {with([](Case& c) { c.frozen_keys = true; }), 1},  // cuDNN's gradient is of all three
      {with([](Case& c) { c.queries = 1, c.causal = true; }), 0},
      {with([](Case& c) { c.queries = 1, c.keys = 1; }), 0},
  };
  for (const Expected& expected : list) {
    INFO(to_string(expected.c));
    const EmulatorSettings settings({});
    const std::int64_t before = cudnn_runs();
    check_against_cpu(expected.c);
    if (!on_real_gpu()) CHECK(cudnn_runs() - before == expected.runs);
  }
}

TEST_CASE("cuda attention: an entry of the batch too large for the workspace goes to our own kernels",
          "[cuda]") {
  if (on_real_gpu()) return;  // it has five hundred times as much
  const EmulatorSettings settings({});
  const std::int64_t before = cudnn_runs();
  check_against_cpu(
      {.queries = 530, .keys = 530, .heads = 1, .key_heads = 1, .head_dim = 8, .causal = true, .batch = 1});
  CHECK(cudnn_runs() - before == 1);
}
