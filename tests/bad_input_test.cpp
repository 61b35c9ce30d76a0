// What a user gets wrong most often, each with the message that says whose fault it is and what to do. The program's own
// options and files have theirs in the cli and data tests.
#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Contains;

namespace {

Tensor leaf(const Shape& shape) {
  Tensor made = Tensor::ones(shape);
  made.set_requires_grad(true);
  return made;
}

}  // namespace

TEST_CASE("bad input: shapes that do not fit are both named", "[engine][bad_input]") {
  CHECK_THROWS_WITH(matmul(Tensor::ones({2, 3}), Tensor::ones({4, 5})),
                    Contains("matmul") && Contains("[2, 3]") && Contains("[4, 5]"));
  CHECK_THROWS_WITH(Tensor::ones({2, 3}) + Tensor::ones({4}),
                    Contains("add") && Contains("[2, 3]") && Contains("[4]") && Contains("broadcast"));
  CHECK_THROWS_WITH(linear(Tensor::ones({2, 3}), Tensor::ones({5, 4})),
                    Contains("linear") && Contains("[2, 3]") && Contains("[5, 4]"));
  CHECK_THROWS_WITH(conv2d(Tensor::ones({1, 8, 8, 3}), Tensor::ones({4, 3, 3, 5})),
                    Contains("conv2d") && Contains("[1, 8, 8, 3]") && Contains("[4, 3, 3, 5]"));
  CHECK_THROWS_WITH(reshape(Tensor::ones({2, 3}), {4, 2}),
                    Contains("reshape") && Contains("[2, 3]") && Contains("[4, 2]"));
}

TEST_CASE("bad input: a wrong dtype names both and how to convert", "[engine][bad_input]") {
  CHECK_THROWS_WITH(Tensor::ones({2}) + Tensor::ones({2}, {.dtype = DType::f64}),
                    Contains("add") && Contains("f32") && Contains("f64") && Contains("to(DType)"));
  CHECK_THROWS_WITH(cross_entropy(Tensor::ones({2, 3}), Tensor::ones({2})),
                    Contains("cross_entropy") && Contains("i64"));
  CHECK_THROWS_AS(Tensor::ones({2}, {.dtype = DType::i64}).set_requires_grad(true), UserError);
}

TEST_CASE("bad input: a wrong device names both and how to move", "[engine][bad_input]") {
  CHECK_THROWS_WITH(Tensor::ones({2}, {.device = Device::cuda(15)}), Contains("CUDA"));
  const DryRun dry;  // in which a tensor may lie on a device that is not here
  const Tensor there = Tensor::ones({2}, {.device = Device::cuda()});
  CHECK_THROWS_WITH(Tensor::ones({2}) + there, Contains("add") && Contains("cuda:0") &&
                                                   Contains("different devices") && Contains("to(Device)"));
}

TEST_CASE("bad input: backward twice, of no scalar, after a step", "[engine][bad_input]") {
  const Tensor w = leaf({3});
  {
    Tape tape;
    const Tensor loss = sum(w * w);
    tape.backward(loss);
    CHECK_THROWS_WITH(tape.backward(loss), Contains("second time") && Contains("retain_graph"));
  }
  {
    Tape tape;
    const Tensor product = w * w;
    CHECK_THROWS_WITH(tape.backward(product), Contains("[3]") && Contains("seed"));
  }
  w.set_name("w");
  optim::SGD optimizer(std::vector<Tensor>{w}, {.lr = 0.1});
  Tape tape;
  const Tensor loss = sum(w * w);
  optimizer.step();
  CHECK_THROWS_WITH(tape.backward(loss), Contains("mul") && Contains("'w'") && Contains("written"));
}

TEST_CASE("bad input: a tape used from another thread", "[engine][bad_input]") {
  Tape tape;
  const Tensor loss = sum(leaf({2}));
  std::string message;
  std::thread other([&] {
    try {
      tape.backward(loss);
    } catch (const UserError& error) {
      message = error.what();
    }
  });
  other.join();
  CHECK_THAT(message, Contains("another thread"));
}

TEST_CASE("bad input: over the memory limit says what was asked, in use, and who holds it",
          "[engine][bad_input]") {
  const Tensor held = leaf({1 << 18});  // 1 MiB of parameters
  memory::set_limit(Device::cpu(), memory::live(Device::cpu()) + MiB(1));
  CHECK_THROWS_WITH(Tensor::zeros({1 << 20}), Contains("out of memory on cpu") && Contains("4194304") &&
                                                  Contains("limit") && Contains("parameter"));
  memory::set_limit(Device::cpu(), SIZE_MAX);
  CHECK(Tensor::zeros({1 << 20}).defined());
}
