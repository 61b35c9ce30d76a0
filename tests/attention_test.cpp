// Attention beyond its op cases: memory linear in the sequence, the packed form's bits, messages.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/nn/models/gpt.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.info() == b.info() && std::memcmp(a.impl()->data(), b.impl()->data(), a.bytes()) == 0;
}

// The highest live bytes of a training step above those before it, 4096 tokens in sequences of this length.
std::size_t step_bytes(std::int64_t context, bool checkpoint_blocks) {
  const DryRun dry;
  nn::Model model = nn::make_gpt({.context = context});
  if (checkpoint_blocks) nn::enable_checkpointing(model, checkpoint::Policy::full());
  const Tensor ids = Tensor::zeros({4096 / context, context}, {.dtype = DType::i64});
  const std::size_t before = memory::live(Device::cpu());
  memory::reset_peak(Device::cpu());
  Tape tape;
  tape.backward(cross_entropy(model(ids), ids));
  return memory::peak(Device::cpu()) - before;
}

}  // namespace

TEST_CASE("a GPT's peak at a constant number of tokens hardly depends on the length of its sequences",
          "[ops]") {
  for (const bool checkpoint_blocks : {false, true}) {
    const std::size_t of_256 = step_bytes(256, checkpoint_blocks);
    for (const std::int64_t context : {512, 1024, 2048, 4096}) {
      const std::size_t bytes = step_bytes(context, checkpoint_blocks);
      INFO((checkpoint_blocks ? "block by block" : "without checkpointing")
           << ", context " << context << ": " << bytes << " bytes, context 256: " << of_256);
      CHECK(static_cast<double>(bytes) < 1.1 * static_cast<double>(of_256));
      CHECK(static_cast<double>(bytes) > 0.9 * static_cast<double>(of_256));
    }
  }
}

TEST_CASE("attention's own outputs take the same bytes however its tokens are cut into sequences", "[ops]") {
  std::size_t first = 0;
  for (const std::int64_t length : {16, 64, 256}) {
    const Tensor qkv = Tensor::rand({256 / length, length, 3, 2, 8}, {.requires_grad = true});
    const std::size_t before = memory::live(Device::cpu());
    Tape tape;
    const Tensor y = attention_qkv(qkv, {.causal = true, .dropout = 0.1});
    const std::size_t bytes = memory::live(Device::cpu()) - before;
    if (first == 0) first = bytes;
    CHECK(bytes == first);
    CHECK(bytes == 256 * 2 * 8 * sizeof(float) + 256 * 2 * sizeof(float));  // y and the log-sum-exps
  }
}

TEST_CASE("attention from a packed projection has the bits of attention on its parts", "[ops]") {
  for (const std::int64_t head_dim : {5, 64}) {
    const std::int64_t batch = 2, sequence = 75, heads = 3, width = heads * head_dim;
    const Tensor packed = Tensor::randn({batch, sequence, 3, heads, head_dim}, {.requires_grad = true});
    std::vector<Tensor> parts;
    for (std::int64_t part = 0; part < 3; ++part) {
      parts.push_back(Tensor::empty({batch, sequence, heads, head_dim}, {.requires_grad = true}));
      for (std::int64_t row = 0; row < batch * sequence; ++row)
        std::memcpy(
            parts.back().impl()->data() + static_cast<std::size_t>(row * width) * sizeof(float),
            packed.impl()->data() + static_cast<std::size_t>((row * 3 + part) * width) * sizeof(float),
            static_cast<std::size_t>(width) * sizeof(float));
    }
    const AttentionOptions options{.causal = true, .dropout = 0.2};
    const Tensor seed = Tensor::randn({batch, sequence, heads, head_dim});
    Tape tape;
    manual_seed(3);
    const Tensor y = attention_qkv(packed, options);
    manual_seed(3);
    const Tensor z = attention(parts[0], parts[1], parts[2], options);
    CHECK(same_bits(y, z));
    tape.backward(y, {.seed = seed});
    tape.backward(z, {.seed = seed});
    for (std::int64_t part = 0; part < 3; ++part)
      CHECK(same_bits(narrow(packed.grad(), 2, part, 1).reshape(parts[0].shape()),
                      parts[static_cast<std::size_t>(part)].grad()));
  }
}

TEST_CASE("attention says what does not fit", "[ops]") {
  using Catch::Equals;
  const auto zeros = [](const Shape& shape, DType dtype = DType::f32) {
    return Tensor::zeros(shape, {.dtype = dtype});
  };
  const Tensor q = zeros({1, 2, 4, 8}), k = zeros({1, 3, 4, 8});
  CHECK_THROWS_WITH(
      attention(q, zeros({1, 3, 3, 8}), zeros({1, 3, 3, 8})),
      "attention: the 4 heads of q [1, 2, 4, 8] are no multiple of the 3 of k [1, 3, 3, 8]: each head of "
      "k and v serves as many of q");
  CHECK_THROWS_WITH(attention(q, zeros(k.shape(), DType::f64), k),
                    Catch::StartsWith("attention: dtypes f32 and f64 differ"));
  CHECK_THROWS_WITH(attention(q, k, k, {.dropout = 1.5}),
                    "attention: dropout probability 1.5 is not in [0, 1]");
  CHECK_THROWS_WITH(
      attention(q, k, k, {.mask = zeros({2, 4}, DType::boolean)}),
      "attention: mask [2, 4] does not broadcast to [batch, heads, queries, keys] = [1, 4, 2, 3]");
  CHECK_THROWS_WITH(
      attention(q, k, k, {.mask = zeros({2, 3}, DType::f64)}),
      "attention: the mask is f64 but must be bool (true where a query sees a key) or f32 (added to the "
      "scores): convert with .to(DType)");
  const Tensor bias = Tensor::zeros({2, 3}, {.requires_grad = true});
  CHECK_THROWS_WITH(attention(q, k, k, {.mask = bias}),
                    "attention: the mask carries no gradient: detach() it");
  CHECK_THROWS_WITH(attention_qkv(q),
                    Catch::StartsWith("attention_qkv: qkv [1, 2, 4, 8] must be [batch, sequence, 3, "));

  const RandomAddress before = random_state();  // a refused call draws nothing
  CHECK_THROWS_AS(attention(q, k, q, {.dropout = 0.5}), UserError);
  CHECK(random_state().offset == before.offset);

  Tape tape;
  const Tensor x = Tensor::zeros({1, 2, 3, 1, 2}, {.requires_grad = true});
  const std::vector<Tensor> wanted = {x};
  const Tensor y = attention_qkv(x);
  const Tensor gradient =
      tape.gradients(y, wanted, {.seed = Tensor::ones(y.shape()), .create_graph = true}).front();
  CHECK_THROWS_WITH(tape.gradients(sum(gradient), wanted),
                    Catch::StartsWith("attention_qkv_backward has no gradient"));
}

// bf16 values, f32 in between: against f64 from the same bf16 values.
TEST_CASE("attention in bf16, plain and fast, is as exact as its values", "[ops]") {
  const auto error = [](const Tensor& actual, const Tensor& exact) {
    const std::vector<double> a = actual.to_vector(), e = exact.to_vector();
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      difference += (a[i] - e[i]) * (a[i] - e[i]);
      size += e[i] * e[i];
    }
    return std::sqrt(difference / size);
  };
  const auto run = [](const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& seed) {
    for (const Tensor& input : {q, k, v}) input.set_requires_grad(true);
    const std::vector<Tensor> wanted = {q, k, v};
    Tape tape;
    manual_seed(4);
    const Tensor y = attention(q, k, v, {.causal = true, .dropout = 0.1});
    std::vector<Tensor> result = tape.gradients(y, wanted, {.seed = seed});
    result.push_back(y);
    return result;
  };
  manual_seed(1);
  const std::vector<Tensor> rounded = {Tensor::randn({2, 130, 4, 40}, {.dtype = DType::bf16}),
                                       Tensor::randn({2, 150, 2, 40}, {.dtype = DType::bf16}),
                                       Tensor::randn({2, 150, 2, 40}, {.dtype = DType::bf16}),
                                       Tensor::randn({2, 130, 4, 40}, {.dtype = DType::bf16})};
  std::vector<Tensor> wide;
  for (const Tensor& x : rounded) wide.push_back(x.to(DType::f64));
  const std::vector<Tensor> exact = run(wide[0], wide[1], wide[2], wide[3]);
  for (const bool plain : {true, false}) {
    const test::PlainKernels kernels(plain);
    std::vector<Tensor> inputs;
    for (const Tensor& x : rounded) inputs.push_back(x.detach());
    const std::vector<Tensor> actual = run(inputs[0], inputs[1], inputs[2], inputs[3]);
    for (std::size_t i = 0; i < actual.size(); ++i) {
      INFO((plain ? "plain" : "fast") << ", result " << i << " (0 to 2: the gradients of q, k, v; 3: y)");
      CHECK(actual[i].dtype() == (i < 3 ? DType::f32 : DType::bf16));  // a 16-bit leaf's gradient is f32
      CHECK(error(actual[i], exact[i]) < 1e-2);
      CHECK(error(actual[i], exact[i]) > 1e-5);  // not f64 by mistake
    }
  }
}

TEST_CASE("attention in f16 is as exact as its values, and a GPT in f16 trains", "[ops]") {
  manual_seed(4);
  const auto leaf = [](const Tensor& values, DType dtype) {
    return Tensor::from(values.to_vector(), values.shape(), {.dtype = dtype, .requires_grad = true});
  };
  const Tensor values = cast(Tensor::randn({2, 30, 3, 2, 16}), DType::f16);
  std::vector<std::vector<double>> results;
  for (const DType dtype : {DType::f64, DType::f16}) {
    const Tensor qkv = leaf(values, dtype);
    Tape tape;
    const Tensor y = attention_qkv(qkv, {.causal = true});
    tape.backward(sum(y * y));
    results.push_back(y.to_vector());
    results.push_back(qkv.grad().to_vector());
  }
  for (std::size_t part = 0; part < 2; ++part) {
    double error = 0, size = 0;
    for (std::size_t i = 0; i < results[part].size(); ++i) {
      error += std::pow(results[part][i] - results[part + 2][i], 2);
      size += std::pow(results[part][i], 2);
    }
    CHECK(std::sqrt(error / size) < 1e-3);
  }

  nn::Model model = nn::make_gpt({.vocabulary = 11, .context = 8, .layers = 1, .width = 12, .heads = 2});
  model.to(DType::f16);
  const Tensor ids = Tensor::zeros({2, 8}, {.dtype = DType::i64});
  Tape tape;
  const Tensor loss = cross_entropy(model(ids), ids);
  tape.backward(loss);
  CHECK(std::isfinite(loss.item()));
  for (const Tensor& parameter : model.parameters()) CHECK(parameter.grad().defined());
}
