// What PyTorch computes (tests/golden/make_goldens.py, in float64) against the same ops here, forward and gradients: it
// proves that no formula was misread. Images are NHWC on both sides.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "reprise/autograd/tape.h"
#include "reprise/core/kernel_slot.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using nlohmann::json;

namespace {

Tensor unpack(const json& packed, DType floating) {
  const Shape shape(packed["shape"].get<std::vector<std::int64_t>>());
  if (packed["dtype"] == "i64")
    return Tensor::from(packed["data"].get<std::vector<std::int64_t>>(), shape, {.dtype = DType::i64});
  return Tensor::from(packed["data"].get<std::vector<double>>(), shape, {.dtype = floating});
}

using Function = std::function<Tensor(const std::vector<Tensor>&, const json&)>;

Function images(Conv2dFunctionOptions options) {
  return
      [options](const std::vector<Tensor>& in, const json&) { return conv2d(in[0], in[1], in[2], options); };
}

const std::map<std::string, Function>& functions() {
  using In = const std::vector<Tensor>&;
  const auto with = [](auto f) { return [f](In in, const json&) { return f(in); }; };
  static const std::map<std::string, Function> all = {
      {"conv2d stride, padding, dilation, groups",
       images({.stride = {2, 1}, .padding = {2, 1}, .dilation = {1, 2}, .groups = 2})},
      {"conv2d 3x3", images({.padding = 1})},
      {"max_pool2d padding", with([](In in) {
         return max_pool2d(in[0], {.kernel_size = {3, 2}, .stride = Pair(2, 1), .padding = 1});
       })},
      {"avg_pool2d padding", with([](In in) {
         return avg_pool2d(in[0], {.kernel_size = {3, 2}, .stride = Pair(2, 1), .padding = 1});
       })},
      {"adaptive_avg_pool2d", with([](In in) {
         return adaptive_avg_pool2d(in[0], {3, 2});
       })},
      {"adaptive_avg_pool2d larger", with([](In in) {
         return adaptive_avg_pool2d(in[0], {4, 3});
       })},
      {"batch_norm", with([](In in) { return batch_norm(in[0], in[1], in[2], 1e-3).y; })},
      {"batch_norm_inference",
       [](In in, const json& entry) {
         return batch_norm_inference(in[0], in[1], in[2], unpack(entry["statistics"][0], in[0].dtype()),
                                     unpack(entry["statistics"][1], in[0].dtype()), 1e-3);
       }},
      {"layer_norm", with([](In in) { return layer_norm(in[0], in[1], in[2], 1e-4); })},
      {"rms_norm", with([](In in) { return rms_norm(in[0], in[1], 1e-4); })},
      {"rotary_embedding", with([](In in) { return rotary_embedding(in[0]); })},
      {"rotary_embedding later, base",
       with([](In in) { return rotary_embedding(in[0], {.base = 500, .first = 7}); })},
      {"geglu", with([](In in) { return geglu(in[0]); })},
      {"swiglu", with([](In in) { return swiglu(in[0]); })},
      {"gelu", with([](In in) { return gelu(in[0]); })},
      {"gelu tanh", with([](In in) { return gelu(in[0], {.approximate = Approximate::tanh}); })},
      {"softmax middle", with([](In in) { return softmax(in[0], 1); })},
      {"log_softmax first", with([](In in) { return log_softmax(in[0], 0); })},
      {"cross_entropy", with([](In in) { return cross_entropy(in[0], in[1]); })},
      {"cross_entropy smoothing, ignored",
       with([](In in) { return cross_entropy(in[0], in[1], {.ignore_index = -1, .label_smoothing = 0.1}); })},
      {"nll_loss", with([](In in) { return nll_loss(in[0], in[1]); })},
      {"mse_loss", with([](In in) { return mse_loss(in[0], in[1]); })},
      {"binary_cross_entropy_with_logits",
       with([](In in) { return binary_cross_entropy_with_logits(in[0], in[1]); })},
      {"embedding", with([](In in) { return embedding(in[0], in[1]); })},
      {"attention", with([](In in) { return attention(in[0], in[1], in[2]); })},
      {"attention causal", with([](In in) { return attention(in[0], in[1], in[2], {.causal = true}); })},
      {"attention causal, fewer queries",
       with([](In in) { return attention(in[0], in[1], in[2], {.causal = true}); })},
      {"attention boolean mask",
       with([](In in) { return attention(in[0], in[1], in[2], {.mask = in[3].to(DType::boolean)}); })},
      {"attention added mask",
       with([](In in) { return attention(in[0], in[1], in[2], {.mask = in[3].detach()}); })},
      {"attention grouped queries, scale",
       with([](In in) { return attention(in[0], in[1], in[2], {.scale = 0.7}); })},
      {"attention_qkv causal", with([](In in) { return attention_qkv(in[0], {.causal = true}); })},
      {"linear_cross_entropy", with([](In in) {
         return linear_cross_entropy(in[0], in[1], in[2], {.ignore_index = -1, .label_smoothing = 0.1});
       })},
      {"matmul broadcast", with([](In in) { return matmul(in[0], in[1]); })},
  };
  return all;
}

void check_close(const Tensor& actual, const json& expected, double tolerance) {
  REQUIRE(actual.defined());
  CHECK(actual.shape() == Shape(expected["shape"].get<std::vector<std::int64_t>>()));
  const std::vector<double> a = actual.to_vector(), e = expected["data"].get<std::vector<double>>();
  REQUIRE(a.size() == e.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("element " << i << ": " << a[i] << ", PyTorch " << e[i]);
    CHECK(std::abs(a[i] - e[i]) <= tolerance * (1 + std::abs(e[i])));
  }
}

void run(DType floating, double tolerance) {
  std::ifstream file(REPRISE_GOLDEN_DIR "/ops.json");
  const json goldens = json::parse(file);
  CHECK(goldens.size() == functions().size());
  for (const auto& [name, entry] : goldens.items()) {
    INFO(name);
    std::vector<Tensor> inputs;
    for (const json& input : entry["inputs"]) {
      inputs.push_back(unpack(input, floating));
      if (is_floating(inputs.back().dtype())) inputs.back().set_requires_grad(true);
    }
    Tape tape;
    const Tensor y = functions().at(name)(inputs, entry);
    check_close(y, entry["output"], tolerance);
    tape.backward(y, {.seed = unpack(entry["seed"], floating)});
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      INFO("gradient of input " << i);
      if (!entry["gradients"][i].is_null()) check_close(inputs[i].grad(), entry["gradients"][i], tolerance);
    }
  }
}

}  // namespace

TEST_CASE("ops and their gradients are PyTorch's, in f64") { run(DType::f64, 1e-12); }

TEST_CASE("ops and their gradients are PyTorch's, in f32") { run(DType::f32, 2e-5); }

TEST_CASE("ops and their gradients are PyTorch's, in f32 with plain kernels") {
  set_plain_kernels(true);
  run(DType::f32, 2e-5);
  set_plain_kernels(false);
}
