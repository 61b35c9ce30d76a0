// oneDNN behind the kernels: which implementations it picks for the models' shapes, and the cache of primitives. ctest runs
// the tests tagged [instructions] once more for each set of instructions that tests/CMakeLists.txt lists.
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "reprise/checkpoint/trace.h"
#include "reprise/core/parallel.h"
#include "reprise/cpu/dnnl_convolution.h"
#include "reprise/cpu/dnnl_product.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/kernel_settings.h"

using namespace reprise;
using namespace reprise::cpu;

namespace {

Convolution same_size(std::int64_t n, std::int64_t size, std::int64_t in, std::int64_t out,
                      std::int64_t kernel, std::int64_t stride) {
  const std::int64_t result = (size + 2 * (kernel / 2) - kernel) / stride + 1;
  return {.pass = ConvolutionPass::forward,
          .n = n,
          .h = size,
          .w = size,
          .in = in,
          .out = out,
          .kernel_h = kernel,
          .kernel_w = kernel,
          .p = result,
          .q = result,
          .options = {.stride = stride, .padding = kernel / 2},
          .bias = false};
}

}  // namespace

TEST_CASE("oneDNN has a fast implementation of every convolution of the models", "[cpu][instructions]") {
  const std::vector<Convolution> all = {
      same_size(64, 28, 1, 32, 3, 1),   same_size(64, 14, 32, 64, 3, 1),    // lenet
      same_size(32, 32, 3, 64, 3, 1),   same_size(32, 32, 64, 64, 3, 1),    // resnet18
      same_size(32, 32, 64, 128, 3, 2), same_size(32, 32, 64, 128, 1, 2),   // resnet18
      same_size(32, 4, 512, 512, 3, 1), same_size(8, 224, 3, 64, 7, 2),     // resnet18, resnet50
      same_size(8, 56, 128, 128, 3, 2), same_size(8, 14, 1024, 2048, 1, 2)  // resnet50
  };
  for (Convolution c : all)
    for (const ConvolutionPass pass :
         {ConvolutionPass::forward, ConvolutionPass::backward_input, ConvolutionPass::backward_weight}) {
      c.pass = pass;
      INFO("pass " << static_cast<int>(pass) << " of " << c.in << " to " << c.out << " channels, kernel "
                   << c.kernel_h << ", stride " << c.options.stride.h);
      const auto primitive = convolution_primitive(c);
      REQUIRE(primitive);
      CHECK_FALSE(is_reference(primitive->implementation()));
    }
}

TEST_CASE("oneDNN has a fast implementation of every product of the models", "[cpu][instructions]") {
  for (const Product& product :
       std::vector<Product>{{.m = 64, .n = 128, .k = 784, .transpose_b = true, .bias = true},  // mlp, forward
                            {.m = 64, .n = 10, .k = 128, .transpose_b = true, .bias = true},   // mlp, forward
                            {.m = 64, .n = 128, .k = 10},                        // mlp, gradient of x
                            {.m = 128, .n = 784, .k = 64, .transpose_a = true},  // mlp, gradient of w
                            {.m = 4096, .n = 256, .k = 256, .transpose_b = true, .bias = true},  // chain
                            {.m = 25088, .n = 64, .k = 256},                                     // resnet50
                            {.m = 1024, .n = 256, .k = 1568, .transpose_a = true}}) {            // resnet50
    INFO(product.m << " x " << product.k << " x " << product.n);
    const auto primitive = product_primitive(product);
    REQUIRE(primitive);
    CHECK_FALSE(is_reference(primitive->implementation()));
  }
}

TEST_CASE("a bf16 product is rounded once, and its bits are those of f32 where it is computed in f32",
          "[cpu][instructions]") {
  const Product product = {.m = 70, .n = 50, .k = 90, .dtype = DType::bf16, .result = DType::bf16};
  const auto operation = product_primitive(product);
  if (computing_dtype(DType::bf16) == DType::bf16) {
    REQUIRE(operation);
    const std::string name =
        operation->implementation();  // oneDNN 3 names bf16 kernels of AMX by "amx" alone
    CHECK((name.find("bf16") != std::string::npos || name.find("amx") != std::string::npos));
    return;
  }
  const Tensor a = cast(Tensor::rand({70, 90}), DType::bf16), b = cast(Tensor::rand({90, 50}), DType::bf16);
  const Tensor wide = matmul(cast(a, DType::f32), cast(b, DType::f32));
  CHECK(matmul(a, b).to_vector() == cast(wide, DType::bf16).to_vector());
  if (operation) CHECK(operation->workspace() >= sizeof(float) * (70 * 90 + 90 * 50 + 70 * 50));
}

TEST_CASE("a primitive is made once for a shape and a number of threads", "[cpu]") {
  const Product product = {.m = 33, .n = 34, .k = 35};
  const auto first = product_primitive(product);
  CHECK(product_primitive(product) == first);
  CHECK(product_primitive({.m = 33, .n = 34, .k = 36}) != first);
  CHECK(product_primitive({.m = 33, .n = 34, .k = 35, .transpose_a = true}) != first);
  {
    const test::ThreadCount more(num_threads() + 1);
    CHECK(product_primitive(product) != first);
  }
  CHECK(product_primitive(product) == first);
}

TEST_CASE("the cache of primitives keeps those used last", "[cpu]") {
  const auto kept = product_primitive({.m = 7, .n = 7, .k = 7});
  const auto let_go = product_primitive({.m = 7, .n = 7, .k = 8});
  for (std::int64_t i = 1; i <= 1030; ++i) {
    product_primitive({.m = 1, .n = 1, .k = i});
    product_primitive({.m = 7, .n = 7, .k = 7});
  }
  CHECK(product_primitive({.m = 7, .n = 7, .k = 7}) == kept);
  CHECK(product_primitive({.m = 7, .n = 7, .k = 8}) != let_go);
}

TEST_CASE("threads run the same primitive at the same time", "[cpu][threads]") {
  const Tensor a = Tensor::rand({64, 96}), b = Tensor::rand({96, 80});
  const std::vector<double> expected = matmul(a, b).to_vector();
  std::vector<std::vector<double>> results(4);
  std::vector<std::thread> threads;
  for (std::vector<double>& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) result = matmul(a, b).to_vector();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<double>& result : results) CHECK(result == expected);
}

TEST_CASE("shapes whose extents need more than 32 bits are not oneDNN's", "[cpu][instructions]") {
  for (const std::int64_t rows : {std::int64_t{1} << 31, std::int64_t{1} << 32, std::int64_t{1} << 40}) {
    INFO(rows << " rows");
    CHECK(product_primitive({.m = rows, .n = 10, .k = 3, .dtype = DType::f32}) == nullptr);
    CHECK(product_primitive({.m = 10, .n = 3, .k = rows, .dtype = DType::f32}) == nullptr);
    CHECK(convolution_primitive(same_size(rows, 3, 1, 4, 3, 1)) == nullptr);
    const Trace trace = checkpoint::trace([&](Tape& tape) {
      const Tensor weight = Tensor::ones({10, 3}, {.requires_grad = true});
      tape.backward(sum(linear(Tensor::zeros({rows, 3}), weight)));
    });
    CHECK(trace.nodes.size() == 2);
  }
}
