// The fast kernels of cpu/ at the sizes that the ready models have, where chunks, threads and Winograd come in: against
// the plain ones in f64, on other numbers of threads, and on views that begin at any byte.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <memory>

#include "reprise/autograd/tape.h"
#include "reprise/core/kernel_slot.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/cpu/dnnl_operation.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"
#include "reprise/tests/kernel_settings.h"
#include "reprise/tests/op_case.h"

using namespace reprise;
using namespace reprise::test;

namespace {

struct Case {
  std::string name;
  std::function<Tensor(Inputs)> function;
  std::vector<OpInput> inputs;
  double tolerance = 1e-6;
  bool own = true;  // not oneDNN's: the bits are the same on any number of threads
  bool own_in_bf16 = true;
};

Case unary(const char* name, Tensor (*op)(Tensor)) {
  return {name, [op](Inputs in) { return op(in[0]); }, {uniform({123, 457}, -6, 6)}};
}

Case linear_case(std::int64_t rows, std::int64_t in, std::int64_t out) {
  return {.name = "linear",
          .function = [](Inputs x) { return linear(x[0], x[1], x[2]); },
          .inputs = {uniform({rows, in}), uniform({out, in}), uniform({out})},
          .own = false};
}

Case conv_case(const Shape& x, std::int64_t out, std::int64_t kernel, Conv2dFunctionOptions options,
               bool bias, double tolerance = 1e-6) {
  Case result{.name = "conv2d",
              .function = [=](Inputs in) { return conv2d(in[0], in[1], bias ? in[2] : Tensor(), options); },
              .inputs = {uniform(x), uniform({out, kernel, kernel, x[3] / options.groups})},
              .tolerance = tolerance,
              .own = false};
  if (bias) result.inputs.push_back(uniform({out}));
  return result;
}

Case winograd_case(const Shape& x, std::int64_t out, Pair padding, bool bias) {
  Case result = conv_case(x, out, 3, {.padding = padding}, bias, 3e-6);
  result.own = true;
  result.own_in_bf16 = !cpu::multiplies_bf16_by_tiles();
  return result;
}

Case batch_norm_case(const Shape& x, bool relu) {
  return {.name = relu ? "batch_norm_relu" : "batch_norm",
          .function =
              [=](Inputs in) {
                return relu ? batch_norm_relu(in[0], in[1], in[2]).y : batch_norm(in[0], in[1], in[2]).y;
              },
          .inputs = {uniform(x, 2, 5), exact(uniform({x[-1]}, 0.5, 2)), exact(uniform({x[-1]}))}};
}

Case batch_norm_add_relu_case(const Shape& x) {
  return {.name = "batch_norm_add_relu",
          .function = [](Inputs in) { return batch_norm_add_relu(in[0], in[3], in[1], in[2]).y; },
          .inputs = {uniform(x, 2, 5), uniform({x[-1]}, 0.5, 2), uniform({x[-1]}), uniform(x)}};
}

std::vector<Case> cases() {
  return {
      unary("relu", relu),
      unary("tanh", tanh),
      unary("sigmoid", sigmoid),
      unary("silu", silu),
      unary("exp", exp),
      {"gelu", [](Inputs in) { return gelu(in[0]); }, {uniform({123, 457}, -6, 6)}},
      {"gelu, tanh",
       [](Inputs in) { return gelu(in[0], {.approximate = Approximate::tanh}); },
       {uniform({123, 457}, -6, 6)}},
      {"swiglu", [](Inputs in) { return swiglu(in[0]); }, {uniform({123, 914}, -6, 6)}},
      {"rms_norm",
       [](Inputs in) { return rms_norm(in[0], in[1]); },
       {uniform({1030, 384}), exact(uniform({384}, 0.5, 2))}},
      {"add", [](Inputs in) { return in[0] + in[1]; }, {uniform({65, 1027}), uniform({65, 1027})}},
      {"sub", [](Inputs in) { return in[0] - in[1]; }, {uniform({65, 1027}), uniform({1027})}},
      {"sub, reversed", [](Inputs in) { return in[0] - in[1]; }, {uniform({1027}), uniform({65, 1027})}},
      {"mul", [](Inputs in) { return in[0] * in[1]; }, {uniform({65, 1027}), uniform({1})}},
      {"div", [](Inputs in) { return in[0] / in[1]; }, {uniform({65, 1}), away_from_zero({65, 1027})}},
      {"mean of all", [](Inputs in) { return mean(in[0]); }, {uniform({65, 10270}, 0, 1)}},
      {"mean of rows", [](Inputs in) { return mean(in[0], {-1}); }, {uniform({650, 1027}, 0, 1)}},
      {"mean of pixels",
       [](Inputs in) {
         return mean(in[0], {1, 2});
       },
       {uniform({8, 7, 7, 2050}, 0, 1)}},
      {"column_sum, wide", [](Inputs in) { return column_sum(in[0]); }, {uniform({4096, 256}, 0, 1)}},
      {"column_sum, narrow", [](Inputs in) { return column_sum(in[0]); }, {uniform({4096, 10}, 0, 1)}},
      {"cross_entropy, mlp",
       [](Inputs in) { return cross_entropy(in[0], in[1]); },
       {uniform({64, 10}, -9, 9), integers({64}, 0, 10)}},
      {"cross_entropy, large",
       [](Inputs in) { return cross_entropy(in[0], in[1], {.ignore_index = 3, .label_smoothing = 0.1}); },
       {uniform({515, 1003}, -9, 9), integers({515}, 0, 1003)}},
      {"max_pool2d, 2x2", [](Inputs in) { return max_pool2d(in[0], {}); }, {distinct({8, 14, 14, 64})}},
      {"max_pool2d_relu, 2x2",
       [](Inputs in) { return max_pool2d_relu(in[0], {}); },
       {distinct({8, 14, 14, 37})}},
      {"max_pool2d_relu, 3x3 overlapping",
       [](Inputs in) { return max_pool2d_relu(in[0], {.kernel_size = 3, .stride = 2, .padding = 1}); },
       {distinct({2, 23, 25, 37})}},
      {"max_pool2d, 2x2, odd sizes",
       [](Inputs in) { return max_pool2d(in[0], {}); },
       {distinct({3, 15, 13, 20})}},
      {"max_pool2d, 3x2 tiles",
       [](Inputs in) {
         return max_pool2d(in[0], {.kernel_size = {3, 2}});
       },
       {distinct({3, 15, 12, 20})}},
      {"max_pool2d, 3x3 overlapping",
       [](Inputs in) { return max_pool2d(in[0], {.kernel_size = 3, .stride = 2, .padding = 1}); },
       {distinct({2, 23, 25, 37})}},
      {"layer_norm",
       [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       {uniform({515, 389}, 2, 5), exact(uniform({389})), exact(uniform({389}))}},
      {"softmax", [](Inputs in) { return softmax(in[0], -1); }, {uniform({515, 389}, -9, 9)}},
      {"log_softmax", [](Inputs in) { return log_softmax(in[0], -1); }, {uniform({515, 389}, -9, 9)}},
      {"causal_softmax", [](Inputs in) { return causal_softmax(in[0]); }, {uniform({3, 65, 65}, -9, 9)}},
      // dy v^T - sum(dy y) cancels where a query sees few keys.
      {"attention_qkv, causal, gpt",
       [](Inputs in) { return attention_qkv(in[0], {.causal = true}); },
       {uniform({2, 256, 3, 6, 64}, -2, 2)},
       3e-6},
      {"attention_qkv, causal, dropout",
       [](Inputs in) {
         manual_seed(5);
         return attention_qkv(in[0], {.causal = true, .dropout = 0.1});
       },
       {uniform({1, 257, 3, 5, 48}, -2, 2)},
       3e-6},
      {"attention, grouped queries, mask",
       [](Inputs in) { return attention(in[0], in[1], in[2], {.mask = in[3]}); },
       {uniform({2, 130, 6, 64}, -2, 2), uniform({2, 300, 2, 64}, -2, 2), uniform({2, 300, 2, 64}, -2, 2),
        mask({2, 1, 130, 300})},
       3e-6},
      linear_case(64, 784, 128),
      linear_case(64, 128, 10),
      linear_case(64, 3136, 128),
      linear_case(512, 256, 256),
      {.name = "matmul, a batch",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({6, 33, 64}), uniform({6, 64, 65})},
       .own = false},
      {.name = "matmul, broadcast",
       .function = [](Inputs in) { return matmul(in[0], in[1]); },
       .inputs = {uniform({2, 1, 33, 64}), uniform({3, 64, 65})},
       .own = false},
      // oneDNN adds the gradients of weight and bias pixel after pixel in f32, which shows with few channels.
      conv_case({8, 28, 28, 1}, 32, 3, {.padding = 1}, true, 3e-6),            // lenet
      winograd_case({4, 14, 14, 32}, 64, 1, true),                             // lenet
      conv_case({1, 32, 32, 3}, 64, 3, {.padding = 1}, false),                 // resnet18
      winograd_case({1, 32, 32, 64}, 64, 1, false),                            // resnet18
      conv_case({1, 32, 32, 64}, 128, 3, {.stride = 2, .padding = 1}, false),  // resnet18
      conv_case({1, 32, 32, 64}, 128, 1, {.stride = 2}, false),                // resnet18
      winograd_case({16, 4, 4, 128}, 128, 1, false),                           // resnet18
      winograd_case({2, 33, 30, 64}, 80, 1, true),                             // more tiles than channels
      winograd_case({3, 18, 19, 48}, 32, {0, 1}, false),
      winograd_case({2, 21, 13, 96}, 112, {1, 0}, true),
      conv_case({1, 56, 56, 3}, 64, 7, {.stride = 2, .padding = 3}, false),  // resnet50
      conv_case({1, 14, 14, 256}, 1024, 1, {}, false),                       // resnet50
      conv_case({2, 14, 14, 1024}, 256, 1, {}, false),                       // resnet50, packed with AVX2
      conv_case({2, 24, 22, 192}, 192, 1, {.stride = 2}, false),             // packed rows that lie apart
      conv_case({2, 50, 41, 64}, 12, 1, {}, false),                          // many pixels: a tall product
      conv_case({3, 64, 64, 320}, 64, 3, {.stride = 2, .padding = 1},
                false),  // its patches are cut into parts
      conv_case({2, 19, 22, 48}, 40, 3, {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}}, false),
      conv_case({2, 9, 11, 5}, 7, 3, {.stride = {2, 1}, .padding = {0, 2}}, true),
      conv_case({2, 9, 11, 12}, 8, 3, {.padding = 2, .dilation = 2, .groups = 4}, true),
      batch_norm_case({32, 32, 32, 64}, true),
      batch_norm_case({8, 7, 7, 2050}, false),
      batch_norm_case({6000, 5}, true),
      batch_norm_add_relu_case({64, 32, 32, 64}),  // so large that results go past the caches
      batch_norm_add_relu_case({6000, 5}),
  };
}

// The output, then the gradients.
std::vector<Tensor> run(const Case& c, const std::vector<Tensor>& inputs) {
  Tape tape;
  const Tensor y = c.function(inputs);
  OpCase seed;
  seed.inputs = {frozen(uniform(y.shape()))};
  std::vector<Tensor> wanted;
  for (const Tensor& input : inputs)
    if (input.requires_grad()) wanted.push_back(input);
  std::vector<Tensor> result = tape.gradients(y, wanted, {.seed = make_inputs(seed, y.dtype(), 2).front()});
  result.insert(result.begin(), y);
  return result;
}

std::vector<Tensor> inputs_of(const Case& c, DType floating) {
  OpCase op_case;
  op_case.inputs = c.inputs;
  return make_inputs(op_case, floating);
}

// The same values, `elements` elements into a larger buffer.
Tensor moved(const Tensor& x, std::int64_t elements) {
  const Tensor buffer = Tensor::zeros({x.numel() + elements}, {.dtype = x.dtype()});
  const Tensor view = buffer.slice(elements, elements + x.numel()).reshape(x.shape());
  std::memcpy(view.impl()->data(), x.impl()->data(), x.bytes());
  return view;
}

}  // namespace

TEST_CASE("fast kernels at the models' sizes agree with the plain ones in f64", "[cpu][instructions]") {
  for (const Case& c : cases()) {
    std::vector<Tensor> exact;
    {
      const PlainKernels plain;
      exact = run(c, inputs_of(c, DType::f64));
    }
    const std::vector<Tensor> actual = run(c, inputs_of(c, DType::f32));
    for (std::size_t i = 0; i < exact.size(); ++i) {
      INFO(c.name << " " << to_string(actual[0].info()) << ", result " << i
                  << " (0: the output, then gradients)");
      CHECK(relative_rms_error(actual[i], exact[i]) <= c.tolerance);
    }
  }
}

// On inputs that bf16 has exactly.
TEST_CASE("fast bf16 kernels at the models' sizes agree with the plain ones in f64", "[cpu][instructions]") {
  for (const Case& c : cases()) {
    const std::vector<Tensor> inputs = inputs_of(c, DType::bf16);
    std::vector<Tensor> exact;
    {
      const PlainKernels plain;
      std::vector<Tensor> same;
      for (const Tensor& input : inputs) {
        same.push_back(is_floating(input.dtype()) ? input.detach().to(DType::f64) : input);
        if (input.requires_grad()) same.back().set_requires_grad(true);
      }
      exact = run(c, same);
    }
    const std::vector<Tensor> actual = run(c, inputs);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      INFO(c.name << " " << to_string(actual[0].info()) << ", result " << i
                  << " (0: the output, then gradients)");
      CHECK(relative_rms_error(actual[i], exact[i]) <= 1e-2);
    }
  }
}

TEST_CASE("fast kernels: own ones give the same bits on any number of threads, all of them run after run",
          "[cpu]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  for (const Case& c : cases()) {
    const std::vector<Tensor> inputs = inputs_of(c, dtype);
    std::vector<Tensor> one;
    {
      const ThreadCount threads(1);
      one = run(c, inputs);
    }
    for (const int count : {2, 3, 4}) {
      const ThreadCount threads(count);
      const std::vector<Tensor> more = run(c, inputs), again = run(c, inputs);
      for (std::size_t i = 0; i < one.size(); ++i) {
        INFO(c.name << " " << to_string(one[0].info()) << ", result " << i << " on " << count << " threads");
        CHECK(same_bits(more[i], again[i]));
        if (c.own && (dtype != DType::bf16 || c.own_in_bf16)) CHECK(same_bits(one[i], more[i]));
      }
    }
  }
}

TEST_CASE("fast dropout keeps the same elements as the plain one", "[cpu]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  for (const std::int64_t count : {1, 63, 64, 65, 100003})
    for (const double p : {0.0, 0.3, 1.0}) {
      const Tensor x = Tensor::rand({count}).to(dtype);
      const RandomAddress before = random_state();
      const Tensor fast = dropout(x, p);
      set_random_state(before);
      const PlainKernels kernels;
      const Tensor plain = dropout(x, p);
      INFO(count << " elements, p = " << p << ", stream " << before.seed << " at " << before.offset);
      CHECK(same_bits(fast, plain));
    }
}

// The plain steps in f64 are the formulas; two parameters, so that a part of the work spans both.
TEST_CASE("fast optimizer steps agree with the plain ones in f64", "[cpu]") {
  const auto run_steps = [](DType dtype, int kind) {
    OpCase values;
    values.inputs = {uniform({777, 99}), uniform({13}), uniform({777, 99}), uniform({13})};
    const std::vector<Tensor> made = make_inputs(values, dtype);
    const std::vector<Tensor> parameters = {made[0], made[1]};
    std::unique_ptr<optim::Optimizer> optimizer;
    if (kind == 0)
      optimizer = std::make_unique<optim::SGD>(parameters, optim::SGDOptions{.lr = 0.1, .weight_decay = 0.1});
    if (kind == 1)
      optimizer = std::make_unique<optim::SGD>(parameters, optim::SGDOptions{.lr = 0.1, .momentum = 0.9});
    if (kind == 2)
      optimizer = std::make_unique<optim::SGD>(
          parameters, optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true});
    if (kind == 3)
      optimizer = std::make_unique<optim::Adam>(parameters, optim::AdamOptions{.weight_decay = 0.1});
    if (kind == 4)
      optimizer = std::make_unique<optim::AdamW>(parameters, optim::AdamWOptions{.weight_decay = 0.1});
    for (int step = 0; step < 3; ++step) {
      parameters[0].set_grad(made[2].detach());
      parameters[1].set_grad(made[3].detach());
      optimizer->step();
    }
    return parameters;
  };
  for (int kind = 0; kind < 5; ++kind) {
    INFO("kind " << kind << " (0-2: SGD plain, momentum, Nesterov; 3: Adam; 4: AdamW)");
    std::vector<Tensor> exact;
    {
      const PlainKernels plain;
      exact = run_steps(DType::f64, kind);
    }
    const std::vector<Tensor> actual = run_steps(DType::f32, kind);
    for (std::size_t i = 0; i < exact.size(); ++i) CHECK(relative_rms_error(actual[i], exact[i]) <= 1e-6);
    const ThreadCount threads(4);
    const std::vector<Tensor> more = run_steps(DType::f32, kind);
    for (std::size_t i = 0; i < exact.size(); ++i) CHECK(same_bits(actual[i], more[i]));
  }
}

// Whatever the plain kernels make of an extent of 0, a user's error included, the fast ones do as well.
TEST_CASE("fast kernels take empty tensors as the plain ones do", "[cpu]") {
  const std::vector<Case> empty = {
      {"relu", [](Inputs in) { return relu(in[0]); }, {uniform({0, 3})}},
      {"add", [](Inputs in) { return in[0] + in[1]; }, {uniform({4, 0}), uniform({1})}},
      {"sub", [](Inputs in) { return in[0] - in[1]; }, {uniform({2, 0}), uniform({0})}},
      {"mean", [](Inputs in) { return mean(in[0], {0}); }, {uniform({0, 3})}},
      {"sum", [](Inputs in) { return sum(in[0]); }, {uniform({3, 0})}},
      {"column_sum", [](Inputs in) { return column_sum(in[0]); }, {uniform({0, 3})}},
      {"column_sum, no columns", [](Inputs in) { return column_sum(in[0]); }, {uniform({3, 0})}},
      {"linear, no rows",
       [](Inputs in) { return linear(in[0], in[1], in[2]); },
       {uniform({0, 3}), uniform({2, 3}), uniform({2})}},
      {"linear, no inputs",
       [](Inputs in) { return linear(in[0], in[1], in[2]); },
       {uniform({4, 0}), uniform({2, 0}), uniform({2})}},
      {"matmul", [](Inputs in) { return matmul(in[0], in[1]); }, {uniform({2, 0}), uniform({0, 3})}},
      {"conv2d, no images",
       [](Inputs in) { return conv2d(in[0], in[1]); },
       {uniform({0, 5, 5, 2}), uniform({3, 3, 3, 2})}},
      {"conv2d, 1x1, no channels",
       [](Inputs in) { return conv2d(in[0], in[1]); },
       {uniform({2, 5, 5, 0}), uniform({3, 1, 1, 0})}},
      {"max_pool2d", [](Inputs in) { return max_pool2d(in[0], {}); }, {uniform({2, 4, 4, 0})}},
      {"softmax", [](Inputs in) { return softmax(in[0], -1); }, {uniform({3, 0})}},
      {"softmax, no rows", [](Inputs in) { return softmax(in[0], -1); }, {uniform({0, 3})}},
      {"layer_norm, no rows",
       [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       {uniform({0, 3}), uniform({3}), uniform({3})}},
      {"layer_norm, no width",
       [](Inputs in) { return layer_norm(in[0], in[1], in[2]); },
       {uniform({3, 0}), uniform({0}), uniform({0})}},
      {"batch_norm, no channels",
       [](Inputs in) { return batch_norm(in[0], in[1], in[2]).y; },
       {uniform({3, 0}), uniform({0}), uniform({0})}},
      {"batch_norm_inference, no channels",
       [](Inputs in) { return batch_norm_inference(in[0], in[1], in[1], in[1], in[1]); },
       {uniform({3, 0}), frozen(uniform({0}))}},
      {"dropout", [](Inputs in) { return dropout(in[0], 0.5); }, {uniform({0})}},
      {"attention, no queries",
       [](Inputs in) { return attention(in[0], in[1], in[1]); },
       {uniform({2, 0, 3, 4}), uniform({2, 5, 3, 4})}},
      {"attention, no keys",
       [](Inputs in) { return attention(in[0], in[1], in[1]); },
       {uniform({2, 3, 3, 4}), uniform({2, 0, 3, 4})}},
      {"attention_qkv, no batch", [](Inputs in) { return attention_qkv(in[0]); }, {uniform({0, 3, 3, 3, 4})}},
      {"cross_entropy, no positions",
       [](Inputs in) { return cross_entropy(in[0], in[1]); },
       {uniform({0, 3}), integers({0}, 0, 3)}},
  };
  const auto outcome = [](const Case& c) -> std::pair<std::string, std::vector<Tensor>> {
    try {
      return {"", run(c, inputs_of(c, DType::f32))};
    } catch (const UserError& error) {
      return {error.what(), {}};
    }
  };
  for (const Case& c : empty) {
    INFO(c.name);
    const auto fast = outcome(c);
    const PlainKernels kernels;
    const auto plain = outcome(c);
    CHECK(fast.first == plain.first);
    REQUIRE(fast.second.size() == plain.second.size());
    for (std::size_t i = 0; i < fast.second.size(); ++i) {
      const Values a = fast.second[i].to_vector(), b = plain.second[i].to_vector();
      REQUIRE(a.size() == b.size());
      for (std::size_t j = 0; j < a.size(); ++j)
        CHECK((a[j] == Approx(b[j]).epsilon(1e-6).margin(1e-6) || (std::isnan(a[j]) && std::isnan(b[j]))));
    }
  }
}

TEST_CASE("fast kernels read views that begin anywhere, with the same bits", "[cpu]") {
  const DType dtype = GENERATE(DType::f32, DType::bf16);
  for (const Case& c : cases()) {
    const std::vector<Tensor> inputs = inputs_of(c, dtype);
    const NoGrad no_grad;
    const Tensor expected = c.function(inputs);
    for (const std::int64_t elements : {1, 5, 16}) {
      std::vector<Tensor> views;
      for (const Tensor& input : inputs) views.push_back(moved(input, elements));
      INFO(c.name << " " << to_string(expected.info()) << ", views at element " << elements);
      CHECK(same_bits(c.function(views), expected));
    }
  }
}

// Ties to even, subnormals, infinities, NaNs and what rounds to infinity, at every place of a vector.
TEST_CASE("the fast cast rounds as the plain one does", "[cpu]") {
  std::vector<float> values;
  for (const std::uint32_t upper :
       {0x0000U, 0x0001U, 0x3F80U, 0x3F81U, 0x7F7FU, 0x7F80U, 0x7FC0U, 0x7F81U, 0x8000U, 0xFF80U, 0xFFFFU})
    for (const std::uint32_t lower : {0x0000U, 0x0001U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU})
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
  for (std::int64_t skipped = 0; skipped < 17; ++skipped) {
    const auto count = static_cast<std::int64_t>(values.size()) - skipped;
    const Tensor x =
        Tensor::from(std::span<const float>(values).subspan(static_cast<std::size_t>(skipped)), {count});
    const Tensor fast = x.to(DType::bf16), back = fast.to(DType::f32);
    const PlainKernels kernels;
    INFO("from element " << skipped);
    CHECK(same_bits(fast, x.to(DType::bf16)));
    CHECK(same_bits(back, fast.to(DType::f32)));
  }
}
