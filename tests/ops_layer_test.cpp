// What formulas do not show of products, convolutions, pooling, norms, losses, dropout and embedding: messages, edges, and
// what their second outputs hold.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "reprise/autograd/tape.h"
#include "reprise/core/random.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using Catch::Matchers::Message;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor zeros(const Shape& shape, DType dtype = DType::f32) { return Tensor::zeros(shape, {.dtype = dtype}); }

Tensor ids(std::initializer_list<std::int64_t> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, {.dtype = DType::i64});
}

}  // namespace

TEST_CASE("products say which extents do not fit", "[ops]") {
  CHECK_THROWS_MATCHES(
      matmul(zeros({2, 3}), zeros({4, 5})), UserError,
      Message("matmul: shapes [2, 3] and [4, 5] do not fit: the inner extents 3 and 4 differ"));
  CHECK_THROWS_MATCHES(
      matmul(zeros({2, 3}), zeros({3, 5}), {.transpose_a = true}), UserError,
      Message("matmul: shapes [2, 3] (transposed) and [3, 5] do not fit: the inner extents 2 and 3 "
              "differ"));
  CHECK_THROWS_MATCHES(
      matmul(zeros({2, 4, 3}), zeros({3, 3, 5})), UserError,
      Message("matmul: shapes [2, 4, 3] and [3, 3, 5] do not fit: the leading extents 2 and 3 differ "
              "and neither is 1"));
  CHECK_THROWS_AS(matmul(zeros({}), zeros({3, 5})), UserError);
  CHECK_THROWS_MATCHES(matmul(zeros({2, 3}), zeros({3, 2}, DType::f64)), UserError,
                       Message("matmul: dtypes f32 and f64 differ: convert one with .to(DType)"));
  CHECK_THROWS_MATCHES(
      linear(zeros({2, 3}), zeros({4, 5})), UserError,
      Message("linear: x [2, 3] and w [4, 5] do not fit: w is [out, in] and x's last extent is in"));
  CHECK_THROWS_MATCHES(linear(zeros({2, 3}), zeros({4, 3}), zeros({3})), UserError,
                       Message("linear: b [3] does not fit w [4, 3]: b is [out] = [4]"));
  CHECK_THROWS_MATCHES(
      attention(zeros({1, 2, 3, 4}), zeros({1, 2, 3, 4}), zeros({1, 5, 3, 4})), UserError,
      Message(
          "attention: q [1, 2, 3, 4], k [1, 2, 3, 4] and v [1, 5, 3, 4] do not fit: q is [batch, queries, "
          "heads, head_dim], k and v are [batch, keys, heads, head_dim]"));
}

TEST_CASE("convolutions and pools say what of the image does not fit", "[ops]") {
  const Tensor x = zeros({1, 4, 4, 3});
  CHECK_THROWS_MATCHES(
      conv2d(zeros({4, 4, 3}), zeros({2, 3, 3, 3})), UserError,
      Message("conv2d: x [4, 4, 3] and weight [2, 3, 3, 3] must be [n, h, w, in] and [out, kernel h, "
              "kernel w, in / groups]"));
  CHECK_THROWS_MATCHES(
      conv2d(x, zeros({2, 3, 3, 4})), UserError,
      Message("conv2d: x [1, 4, 4, 3] and weight [2, 3, 3, 4] do not fit: x has 3 channels in 1 "
              "groups, so weight's last extent must be 3, not 4 (images are [n, h, w, channels], "
              "weights [out, h, w, in / groups])"));
  CHECK_THROWS_MATCHES(
      conv2d(x, zeros({2, 3, 3, 1}), {}, {.groups = 2}), UserError,
      Message("conv2d: x [1, 4, 4, 3] and weight [2, 3, 3, 1]: 2 groups must divide both the 3 input "
              "and the 2 output channels"));
  CHECK_THROWS_MATCHES(conv2d(x, zeros({2, 5, 5, 3})), UserError,
                       Message("conv2d: x [1, 4, 4, 3] and weight [2, 5, 5, 3] with stride=1x1 padding=0x0 "
                               "dilation=1x1 groups=1: the kernel is larger than the padded image"));
  CHECK_THROWS_AS(conv2d(x, zeros({2, 3, 3, 3}), {}, {.dilation = 2}), UserError);
  CHECK_THROWS_AS(conv2d(x, zeros({2, 3, 3, 3}), {}, {.stride = 0}), UserError);
  CHECK_THROWS_MATCHES(conv2d(x, zeros({2, 3, 3, 3}), zeros({3})), UserError,
                       Message("conv2d: bias [3] does not fit weight [2, 3, 3, 3]: it must be [out] = [2]"));
  CHECK_THROWS_MATCHES(
      max_pool2d(x, {.kernel_size = 5}), UserError,
      Message("max_pool2d: x [1, 4, 4, 3] with kernel=5x5 stride=5x5 padding=0x0: the window is "
              "larger than the padded image"));
  CHECK_THROWS_MATCHES(
      avg_pool2d(x, {.kernel_size = 3, .padding = 2}), UserError,
      Message("avg_pool2d: kernel=3x3 stride=3x3 padding=2x2: padding must be at most half the "
              "kernel"));
  CHECK_THROWS_AS(adaptive_avg_pool2d(x, 0), UserError);
}

TEST_CASE("norms say what does not fit the channels", "[ops]") {
  CHECK_THROWS_MATCHES(
      batch_norm(zeros({2, 4, 4, 3}), zeros({4}), zeros({3})), UserError,
      Message("batch_norm: weight [4] does not fit x [2, 4, 4, 3]: it must be [channels] = [3] "
              "(images are [n, h, w, channels])"));
  CHECK_THROWS_MATCHES(
      batch_norm_relu(zeros({1, 3}), zeros({3}), zeros({3})), UserError,
      Message("batch_norm_relu: x [1, 3] has fewer than two values a channel: their deviation is not "
              "defined; use a larger batch, or evaluate with running statistics"));
  CHECK_THROWS_MATCHES(layer_norm(zeros({2, 3}), zeros({3}), zeros({2})), UserError,
                       Message("layer_norm: bias [2] does not fit x [2, 3]: it must be [width] = [3]"));
}

TEST_CASE("targets and ids are checked before a kernel reads them", "[ops]") {
  const Tensor logits = zeros({4, 10});
  CHECK_THROWS_MATCHES(cross_entropy(logits, ids({1, 2, 3, 12})), UserError,
                       Message("cross_entropy: target 12 at position 3 is not in [0, 10)"));
  CHECK_THROWS_AS(cross_entropy(logits, ids({1, 2, -1, 0})), UserError);
  CHECK_NOTHROW(cross_entropy(logits, ids({1, 2, -1, 0}), {.ignore_index = -1}));
  CHECK_THROWS_MATCHES(cross_entropy(logits, zeros({4})), UserError,
                       Message("cross_entropy: targets are f32 but must be i64 class numbers: convert with "
                               ".to(DType::i64)"));
  CHECK_THROWS_MATCHES(
      cross_entropy(logits, ids({1, 2})), UserError,
      Message("cross_entropy: scores [4, 10] and targets [2] do not fit: scores are [.., classes], "
              "targets the leading shape"));
  CHECK_THROWS_AS(cross_entropy(logits, ids({1, 2, 3, 4}), {.label_smoothing = 1.5}), UserError);
  CHECK_THROWS_MATCHES(nll_loss(logits, ids({0, 0, 10, 0})), UserError,
                       Message("nll_loss: target 10 at position 2 is not in [0, 10)"));
  CHECK_THROWS_MATCHES(embedding(ids({0, -1}), zeros({3, 2})), UserError,
                       Message("embedding: id -1 at position 1 is not in [0, 3)"));
  CHECK_THROWS_MATCHES(
      embedding(zeros({2}), zeros({3, 2})), UserError,
      Message("embedding: ids are f32 but must be i64 row numbers: convert with .to(DType::i64)"));
  CHECK_THROWS_MATCHES(mse_loss(zeros({2, 1}), zeros({2})), UserError,
                       Message("mse_loss: shapes [2, 1] and [2] differ"));
}

TEST_CASE("a loss of which every target is ignored is NaN, and its gradient zero", "[ops]") {
  const Tensor logits = Tensor::ones({2, 3}, {.requires_grad = true});
  Tape tape;
  const Tensor loss = cross_entropy(logits, ids({-100, -100}));
  CHECK(std::isnan(loss.item()));
  tape.backward(loss);
  CHECK(logits.grad().to_vector() == std::vector<double>(6, 0.0));
}

TEST_CASE("cross entropy and softmax stay finite where exponentials do not", "[ops]") {
  const Tensor logits = Tensor::from<float>({1000, 0, -1000, -1000}, {2, 2});
  CHECK(cross_entropy(logits, ids({1, 0})).item() == Approx((1000 + std::log(2)) / 2));
  CHECK(softmax(logits, 1).to_vector() == std::vector<double>{1, 0, 0.5, 0.5});
  CHECK(log_softmax(logits, 1).to_vector()[1] == -1000);
  const Tensor one = Tensor::from<float>({-INFINITY, 0}, {2});
  CHECK(softmax(one, 0).to_vector() == std::vector<double>{0, 1});
  CHECK(binary_cross_entropy_with_logits(Tensor::from<float>({500, -500}, {2}),
                                         Tensor::from<float>({1, 1}, {2}))
            .item() == 250);
}

TEST_CASE("max_pool2d gives ties to the first place, lets NaN through, and never picks padding", "[ops]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = Tensor::from<double>({1, 1, 1, 1,              // a tie
                                         2, nan, 3, nan,          // NaN beside numbers
                                         -kInfinity, -kInfinity,  // nothing above minus infinity
                                         -kInfinity, -kInfinity},
                                        {3, 2, 2, 1}, {.dtype = DType::f64, .requires_grad = true});
  Tape tape;
  const Tensor y = max_pool2d(x, {.kernel_size = 2});
  CHECK(y.to_vector()[0] == 1);
  CHECK(std::isnan(y.to_vector()[1]));
  CHECK(y.to_vector()[2] == -kInfinity);
  tape.backward(y, {.seed = Tensor::ones({3, 1, 1, 1}, {.dtype = DType::f64})});
  CHECK(x.grad().to_vector() == std::vector<double>{1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0});

  const Tensor low = Tensor::full({1, 2, 2, 1}, -5, {.requires_grad = true});
  const Tensor padded = max_pool2d(low, {.kernel_size = 2, .stride = 2, .padding = 1});
  CHECK(padded.to_vector() == std::vector<double>(4, -5.0));
  tape.backward(sum(padded));
  CHECK(low.grad().to_vector() == std::vector<double>(4, 1.0));
}

TEST_CASE("the winner's place takes a byte, or four in windows of more than 255 places", "[ops]") {
  for (const auto& [width, bytes] : {std::pair<std::int64_t, std::size_t>{85, 1}, {86, 4}}) {
    const Tensor x = Tensor::zeros({1, 3, width, 3}, {.requires_grad = true});
    Tape tape;
    const Tensor y = max_pool2d(x, {.kernel_size = {3, width}});
    const Trace trace = tape.trace();
    CHECK(trace.values[static_cast<std::size_t>(trace.nodes[0].outputs[1])].bytes == 3 * bytes);
  }
}

TEST_CASE("batch_norm returns the statistics of the batch", "[ops]") {
  const Tensor x = Tensor::from<float>({1, 10, 3, 10, 5, 40}, {3, 2});
  const auto [y, mean, rstd] = batch_norm(x, Tensor::ones({2}), zeros({2}), 0.5);
  CHECK(mean.to_vector() == std::vector<double>{3, 20});
  CHECK(rstd.to_vector()[0] == Approx(1 / std::sqrt(8.0 / 3 + 0.5)));
  CHECK(rstd.to_vector()[1] == Approx(1 / std::sqrt(200 + 0.5)));
}

TEST_CASE("the statistics of norms carry no gradient", "[ops]") {
  const Tensor x = Tensor::randn({4, 3}, {.requires_grad = true});
  Tape tape;
  const auto [y, mean, rstd] = batch_norm(x, Tensor::ones({3}), zeros({3}));
  CHECK_THROWS_AS(tape.backward(sum(mean)), UserError);
}

TEST_CASE("dropout keeps as many as it says, scaled, at the same places in the gradient", "[ops]") {
  manual_seed(11);
  const Tensor x = Tensor::ones({100, 1000}, {.requires_grad = true});
  Tape tape;
  const Tensor y = dropout(x, 0.2);
  std::int64_t kept = 0;
  for (const float v : y.read<float>()) {
    CHECK_FALSE((v != 0 && v != 1.25F));
    kept += v != 0;
  }
  CHECK(std::abs(static_cast<double>(kept) - 80000) < 5 * std::sqrt(100000 * 0.2 * 0.8));  // five deviations
  tape.backward(sum(y));
  CHECK(x.grad().to_vector() == y.to_vector());

  const Tensor other = dropout(x, 0.2);
  CHECK(other.to_vector() != y.to_vector());
  CHECK(sum(dropout(x, 1.0)).item() == 0);
  CHECK(dropout(x, 0.2, false).impl() == x.impl());
  CHECK(dropout(x, 0).impl() == x.impl());
  CHECK_THROWS_MATCHES(dropout(x, 1.5), UserError, Message("dropout: probability 1.5 is not in [0, 1]"));
}

TEST_CASE("dropout's mask is the same from the same seed", "[ops]") {
  const Tensor x = Tensor::ones({37});
  manual_seed(3);
  const Tensor first = dropout(x, 0.5);
  manual_seed(3);
  CHECK(dropout(x, 0.5).to_vector() == first.to_vector());
}

TEST_CASE("dropouts after each other read on where the last one stopped, at the next whole block", "[ops]") {
  manual_seed(4);
  dropout(Tensor::ones({6}), 0.5);  // words 0..7: two blocks of four
  const std::vector<double> y = dropout(Tensor::ones({9}), 0.5).to_vector();
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(y[i] == (uniform_from_word(random_word(4, 8 + i)) < 0.5F ? 0 : 2));
}

TEST_CASE("embedding adds the gradients of a row that is read often, and leaves others zero", "[ops]") {
  const Tensor w = Tensor::zeros({4, 2}, {.requires_grad = true});
  Tape tape;
  const Tensor y = embedding(ids({2, 0, 2, 2}), w);
  tape.backward(y, {.seed = Tensor::from<float>({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2})});
  CHECK(w.grad().to_vector() == std::vector<double>{3, 4, 0, 0, 13, 16, 0, 0});
}

TEST_CASE("a gradient that has none of its own says so", "[ops]") {
  const Tensor x = Tensor::randn({4, 3}, {.requires_grad = true});
  Tape tape;
  const Tensor y = layer_norm(x, Tensor::ones({3}), zeros({3}));
  const auto [g] = tape.gradients(sum(y * y), {x}, {.create_graph = true});
  CHECK_THROWS_WITH(tape.backward(sum(g * g)), Catch::Contains("layer_norm_backward"));
}

TEST_CASE("flops count multiplications and additions", "[ops]") {
  const auto flops_of = [](auto function) {
    Tape tape;
    const Tensor y = function();
    return tape.trace().nodes.front().flops;
  };
  CHECK(flops_of([] { return matmul(zeros({5, 2, 3}), zeros({3, 4})); }) == 2 * 5 * 2 * 3 * 4);
  CHECK(flops_of([] { return linear(zeros({5, 2, 3}), zeros({4, 3})); }) == 2 * 5 * 2 * 3 * 4);
  CHECK(
      flops_of([] {
        return conv2d(zeros({2, 8, 8, 6}), zeros({4, 3, 3, 3}), {}, {.stride = 2, .padding = 1, .groups = 2});
      }) == 2 * (2 * 4 * 4 * 4) * (3 * 3 * 3));
}
