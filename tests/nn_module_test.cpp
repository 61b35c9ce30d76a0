// Modules: what visit() names, and what is listed, moved, copied and frozen by it.
#include <catch2/catch.hpp>
#include <optional>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Contains;

namespace {

struct Unit : nn::Module {
  nn::Linear linear{2, 2};
  std::optional<nn::Linear> extra;
  explicit Unit(bool with_extra) {
    if (with_extra) extra.emplace(2, 2, nn::LinearOptions{.bias = false});
  }
  void visit(nn::Visitor& visitor) override {
    visitor("linear", linear);
    visitor("extra", extra);
  }
};

// Everything a module can name: vectors, optionals, a Sequential, a buffer, a tied weight.
struct Net : nn::Module {
  nn::Embedding tokens{5, 2};
  std::vector<Unit> units;
  nn::Sequential tail{nn::Linear(2, 2, {.bias = false}), relu, nn::BatchNorm2d(2)};
  Tensor head;
  Net() : head(tokens.weight) {
    units.emplace_back(false);
    units.emplace_back(true);
  }
  void visit(nn::Visitor& visitor) override {
    visitor("tokens", tokens);
    visitor("units", units);
    visitor("tail", tail);
    visitor("head", head);
  }
};

std::vector<std::string> names(const std::vector<std::pair<std::string, Tensor>>& list) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : list) result.push_back(name);
  return result;
}

}  // namespace

static_assert(!std::is_copy_constructible_v<nn::Linear> && std::is_nothrow_move_constructible_v<nn::Linear>);
static_assert(!std::is_copy_assignable_v<Unit> && std::is_nothrow_move_assignable_v<Unit>);

TEST_CASE("Parameters are listed in the order of visit(), a tied weight once", "[nn]") {
  Net net;
  CHECK(names(net.named_parameters()) ==
        std::vector<std::string>{"tokens.weight", "units.0.linear.weight", "units.0.linear.bias",
                                 "units.1.linear.weight", "units.1.linear.bias", "units.1.extra.weight",
                                 "tail.0.weight", "tail.2.weight", "tail.2.bias"});
  CHECK(names(net.named_buffers()) == std::vector<std::string>{"tail.2.running_mean", "tail.2.running_var"});
  CHECK(net.parameters().size() == 9);
  CHECK(net.parameter_count() == 10 + 6 + 6 + 4 + 4 + 4);
}

TEST_CASE("Listing names the tensors, and a part's own list does not shorten a name", "[nn]") {
  Net net;
  net.parameters();
  CHECK(net.units[1].linear.bias.name() == "units.1.linear.bias");
  net.units[1].parameters();
  CHECK(net.units[1].linear.bias.name() == "units.1.linear.bias");
}

TEST_CASE("A parameter that is the result of an op is refused by name", "[nn]") {
  nn::Linear linear(2, 2);
  const Tape tape;
  linear.weight = linear.weight * 2.0;
  CHECK_THROWS_WITH(linear.parameters(), Contains("parameter weight") && Contains("result of an op"));
}

TEST_CASE("train and eval reach every module below", "[nn]") {
  Net net;
  int modules = 0;
  net.eval();
  nn::for_each<nn::Module>(net, [&](std::string_view name, nn::Module& module) {
    INFO(name);
    CHECK_FALSE(module.training());
    ++modules;
  });
  CHECK(modules == 9);  // tokens, 2 units, 3 linears in them, tail, its linear and norm
  CHECK_FALSE(net.training());
  net.train();
  nn::for_each<nn::BatchNorm2d>(net, [&](std::string_view name, nn::BatchNorm2d& norm) {
    CHECK(name == "tail.2");
    CHECK(norm.training());
  });
}

TEST_CASE("Parameters and buffers are counted under the tag parameter", "[nn]") {
  const auto bytes = [] { return memory::by_tag(Device::cpu())["parameter"]; };
  const std::size_t before = bytes();
  nn::BatchNorm2d norm(8);
  nn::Linear linear(3, 5);
  CHECK(bytes() == before + 4 * 8 * 4 + (15 + 5) * 4);
}

TEST_CASE("to(DType) converts in place: ties and optimizers' handles hold, gradients are released", "[nn]") {
  Net net;
  const std::vector<Tensor> handles = net.parameters();
  const std::vector<double> before = net.tokens.weight.to_vector();
  net.tokens.weight.set_grad(Tensor::ones({5, 2}));
  const std::size_t live = memory::live(Device::cpu());
  net.to(DType::f64);
  CHECK(net.head.impl() == net.tokens.weight.impl());
  CHECK(handles[0].dtype() == DType::f64);
  CHECK(handles[0].to_vector() == before);
  CHECK(handles[0].requires_grad());
  CHECK_FALSE(handles[0].grad().defined());
  CHECK(net.named_buffers()[0].second.dtype() == DType::f64);
  std::size_t bytes = 0;
  for (const Tensor& tensor : handles) bytes += tensor.bytes();
  for (const auto& [name, tensor] : net.named_buffers()) bytes += tensor.bytes();
  CHECK(memory::live(Device::cpu()) == live - 40 + bytes / 2);
  CHECK(memory::by_tag(Device::cpu())["parameter"] >= bytes);

  optim::SGD optimizer(net.parameters(), {.momentum = 0.9});
  net.to(DType::bf16);
  CHECK(net.named_buffers()[0].second.dtype() == DType::f32);  // statistics stay f32
  net.tokens.weight.set_grad(Tensor::ones({5, 2}));            // f32, for a leaf of any 16 bits
  CHECK_THROWS_WITH(optimizer.step(), Contains("tokens.weight") && Contains("make the optimizer after"));
  CHECK_THROWS_WITH(net.to(DType::i64), Contains("floating"));
  const DryRun dry_run;
  CHECK_THROWS_WITH(net.to(DType::f32), Contains("dry run"));
}

TEST_CASE("copy_parameters copies values, not handles, and lists what differs", "[nn]") {
  Net from, to;
  const Tensor handle = to.units[0].linear.weight;
  const auto version = handle.impl()->storage->version;
  nn::copy_parameters(from, to);
  for (std::size_t i = 0; i < from.parameters().size(); ++i)
    CHECK(from.parameters()[i].to_vector() == to.parameters()[i].to_vector());
  CHECK(handle.impl() == to.units[0].linear.weight.impl());
  CHECK(handle.impl()->storage->version == version + 1);
  CHECK(from.parameters()[0].impl() != to.parameters()[0].impl());

  Unit small(false), large(true);
  large.linear = nn::Linear(3, 2);
  const std::vector<double> before = small.linear.bias.to_vector();
  CHECK_THROWS_WITH(
      nn::copy_parameters(large, small),
      Contains("extra.weight: not in the module copied to") && Contains("[2, 3] and [2, 2] differ"));
  CHECK(small.linear.bias.to_vector() == before);
}

TEST_CASE("A frozen module gets no gradient", "[nn]") {
  nn::Linear first(2, 2), second(2, 2);
  nn::freeze(first);
  {
    Tape tape;
    tape.backward(sum(second(first(Tensor::ones({1, 2})))));
  }
  CHECK_FALSE(first.weight.grad().defined());
  CHECK(second.weight.grad().defined());
  nn::freeze(first, false);
  CHECK(first.weight.requires_grad());
}

TEST_CASE("A module's line that visit() lacks is found at the first step", "[nn]") {
  struct Forgetful : nn::Module {
    nn::Linear a{2, 2}, b{2, 1};
    Tensor operator()(Tensor x) { return b(a(std::move(x))); }
    void visit(nn::Visitor& visitor) override { visitor("a", a); }
  } net;
  optim::SGD optimizer(net.parameters());
  {
    Tape tape;
    tape.backward(sum(net(Tensor::ones({1, 2}))));
  }
  CHECK_THROWS_WITH(optimizer.step(), Contains("f32[1") && Contains("visit()"));
  // One that is named but given to no optimizer is left untrained on purpose.
  nn::Sequential both(nn::Linear(2, 2), nn::Linear(2, 1));
  both.parameters();
  optim::SGD first_only(both.module(0)->parameters());
  {
    Tape tape;
    tape.backward(sum(both(Tensor::ones({1, 2}))));
  }
  CHECK_NOTHROW(first_only.step());
  nn::Linear stranger(2, 1);  // trained by nobody, in a backward of its own
  optimizer.zero_grad();
  {
    Tape tape;
    tape.backward(sum(stranger(Tensor::ones({1, 2}))));
  }
  nn::Linear fine(2, 1);
  optim::SGD second(fine.parameters());
  {
    Tape tape;
    tape.backward(sum(fine(Tensor::ones({1, 2}))));
  }
  CHECK_NOTHROW(second.step());
}

TEST_CASE("enable_checkpointing reaches every block, and replays what its policy says", "[nn]") {
  struct Twice : nn::Block {
    nn::Linear linear{2, 2};
    Tensor operator()(Tensor x) {
      return checkpoint::run(policy, [&] { return relu(relu(linear(std::move(x)))); });
    }
    void visit(nn::Visitor& visitor) override { visitor("linear", linear); }
  };
  nn::Sequential net(Twice{}, Twice{});
  auto replays = [&] {
    Tape tape;
    tape.backward(sum(net(Tensor::ones({1, 2}))));
    return tape.replays();
  };
  CHECK(replays() == 0);
  nn::enable_checkpointing(net, checkpoint::Policy::full());
  // All three nodes of each block: relu saves its output, which is gone by then, the next block's boundary too.
  CHECK(replays() == 6);
  nn::enable_checkpointing(net, checkpoint::Policy::save_only({"linear"}));
  CHECK(replays() == 4);
  nn::enable_checkpointing(net, checkpoint::Policy::none());
  CHECK(replays() == 0);
}
