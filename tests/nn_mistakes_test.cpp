// Mistakes in a module that would train something else without a word: each is an error.
#include <catch2/catch.hpp>
#include <optional>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/random.h"
#include "reprise/nn/nn.h"
#include "reprise/ops/ops.h"
#include "reprise/optim/optim.h"

using namespace reprise;
using Catch::Matchers::Contains;

namespace {

// `visit` names the parts that are asked for.
struct Forgetful : nn::Module {
  nn::Linear linear{4, 4};
  nn::Dropout drop{0.5};
  nn::BatchNorm2d norm{4};
  bool with_drop = false, names_drop = false, with_norm = false, names_norm = false;
  Tensor operator()(Tensor x) {
    x = linear(std::move(x));
    if (with_norm) x = norm(std::move(x));
    return with_drop ? drop(std::move(x)) : x;
  }
  void visit(nn::Visitor& visitor) override {
    visitor("linear", linear);
    if (names_drop) visitor("drop", drop);
    if (names_norm) {
      visitor("norm", norm);
    } else {  // its parameters are trained all the same
      visitor("norm.weight", norm.weight);
      visitor("norm.bias", norm.bias);
    }
  }
};

void train_step(Forgetful& net, optim::Optimizer& optimizer) {
  optimizer.zero_grad();
  Tape tape;
  tape.backward(mean(net(Tensor::ones({3, 4}))));
  optimizer.step();
}

std::string error_of_step(Forgetful& net) {
  optim::SGD optimizer(net.parameters(), {.lr = 0.1});
  try {
    train_step(net, optimizer);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

struct Twins : nn::Module {
  nn::Linear a{2, 2}, b{2, 2};
  bool buffer = false;
  Tensor state = Tensor::ones({2});
  void visit(nn::Visitor& visitor) override {
    visitor("part", a);
    if (buffer)
      visitor.buffer("part.weight", state);
    else
      visitor("part", b);
  }
};

struct MyBlock : nn::Block {
  nn::Linear linear{4, 4};
  bool obeys = false;
  Tensor operator()(Tensor x) {
    if (!obeys) return relu(linear(std::move(x)));
    return checkpoint::run(policy, [&] { return relu(linear(std::move(x))); });
  }
  void visit(nn::Visitor& visitor) override { visitor("linear", linear); }
};

struct NamedTwice : nn::Module {
  nn::Linear part{2, 2};
  void visit(nn::Visitor& visitor) override {
    visitor("part", part);
    visitor("part", part);
  }
};

}  // namespace

TEST_CASE("a Dropout or BatchNorm2d that visit() forgets stops the step", "[nn][optim]") {
  manual_seed(1);
  Forgetful drop;
  drop.with_drop = true;
  CHECK_THAT(error_of_step(drop), Contains("nn::Dropout") && Contains("visit()"));
  drop.names_drop = true;
  CHECK(error_of_step(drop).empty());

  Forgetful norm;
  norm.with_norm = true;
  CHECK_THAT(error_of_step(norm), Contains("nn::BatchNorm2d") && Contains("visit()"));
  norm.names_norm = true;
  CHECK(error_of_step(norm).empty());

  // Told its mode by itself, it is met.
  Forgetful own;
  own.with_drop = true;
  own.drop.train();
  CHECK(error_of_step(own).empty());
}

TEST_CASE("only a recorded call in training mode is reported, once, and a module met later is forgiven",
          "[nn][optim]") {
  Forgetful net;
  net.with_drop = true;
  optim::SGD optimizer(net.parameters(), {.lr = 0.1});
  const Tensor x = Tensor::ones({3, 4});
  net(x);  // no tape
  {
    Tape tape;
    const NoGrad no_grad;
    net(x);
  }
  {
    const DryRun dry_run;
    Tape tape;
    tape.backward(mean(net(x)));
  }
  net.with_drop = false;
  CHECK_NOTHROW(train_step(net, optimizer));
  net.with_drop = true;
  {
    Tape tape;
    tape.backward(mean(net(x)));
  }
  net.drop.eval();  // a walk
  CHECK_NOTHROW(train_step(net, optimizer));
}

TEST_CASE("a module that was never met does not stop the optimizer of another", "[nn][optim]") {
  Forgetful other, net;
  other.with_drop = true;
  const Tensor x = Tensor::ones({3, 4});
  optim::SGD optimizer(net.parameters(), {.lr = 0.1});
  {
    Tape tape;
    tape.backward(mean(other(x)));  // whose parameters are listed later, if ever
  }
  CHECK_NOTHROW(train_step(net, optimizer));
  other.parameters();
  optim::SGD both(std::vector<Tensor>{net.linear.weight, other.linear.weight}, {.lr = 0.1});
  Tape tape;
  tape.backward(mean(net(x) + other(x)));
  CHECK_THROWS_WITH(both.step(), Contains("nn::Dropout"));
}

TEST_CASE("a weight replaced after the optimizer was made stops the step", "[nn][optim]") {
  manual_seed(2);
  for (const bool listed_again : {false, true}) {
    nn::Linear layer(4, 4);
    optim::SGD optimizer(layer.parameters(), {.lr = 1.0});
    layer.weight = nn::init::normal({4, 4}, 0, 1);
    if (listed_again) layer.parameters();  // as clip_grad_norm(layer.parameters()) does
    Tape tape;
    tape.backward(mean(layer(Tensor::ones({2, 4}))));
    CHECK_THROWS_WITH(optimizer.step(), Contains("weight f32[4, 4]") && Contains("replaced"));
  }
  // A parameter that a step does not use keeps its place.
  nn::Linear used(4, 4), unused(4, 4);
  optim::SGD optimizer({used.weight, used.bias, unused.weight, unused.bias}, {.lr = 1.0});
  Tape tape;
  tape.backward(mean(used(Tensor::ones({2, 4}))));
  CHECK_NOTHROW(optimizer.step());
}

TEST_CASE("two children of one name are an error wherever names matter", "[nn]") {
  Twins twins, other;
  for (const bool buffer : {false, true}) {
    twins.buffer = buffer;
    CHECK_THROWS_WITH(twins.named_parameters(), Contains("\"part.weight\""));
    CHECK_THROWS_WITH(twins.parameters(), Contains("\"part.weight\""));
    CHECK_THROWS_WITH(twins.parameter_count(), Contains("\"part.weight\""));
    CHECK_THROWS_WITH(nn::save(twins, "/nowhere"), Contains("\"part.weight\""));
    CHECK_THROWS_WITH(twins.to(DType::f64), Contains("\"part.weight\""));
    CHECK_THROWS_WITH(nn::copy_parameters(twins, other), Contains("\"part.weight\""));
  }
  NamedTwice same;
  CHECK(same.parameters().size() == 2);
  CHECK(nn::named_state(same)[0].names == std::vector<std::string>{"part.weight"});
}

TEST_CASE("a conversion between forward and backward is an error, and nothing gets a gradient",
          "[nn][engine]") {
  nn::Linear layer(4, 4);
  const Tensor x = Tensor::ones({2, 4});
  for (const DType dtype : {DType::f64, DType::bf16, DType::f16}) {
    layer.to(DType::f32);
    Tape tape;
    const Tensor loss = mean(layer(x));
    layer.to(dtype);
    CHECK_THROWS_WITH(tape.backward(loss), Contains("converted") && Contains(std::string(to_string(dtype))));
    CHECK_THROWS_WITH(tape.gradients(loss, {layer.weight}), Contains("converted"));
    CHECK_FALSE(layer.weight.grad().defined());
    CHECK_FALSE(layer.bias.grad().defined());
  }
  layer.to(DType::f32);
  Tape tape;
  tape.backward(mean(layer(x)));
  CHECK(layer.bias.grad().to_vector() == std::vector<double>(4, 0.25));
}

TEST_CASE("a Block that ignores its policy stops the step, and one that uses it does not", "[nn][optim]") {
  const Tensor x = Tensor::ones({2, 4});
  const auto train = [&](MyBlock& block, optim::Optimizer& optimizer) {
    optimizer.zero_grad();
    Tape tape;
    tape.backward(mean(block(x)));
    optimizer.step();
  };
  for (const bool obeys : {false, true}) {
    MyBlock block;
    block.obeys = obeys;
    optim::SGD optimizer(block.parameters(), {.lr = 0.1});
    CHECK_NOTHROW(train(block, optimizer));
    nn::enable_checkpointing(block, checkpoint::Policy::full());
    if (obeys)
      CHECK_NOTHROW(train(block, optimizer));
    else
      CHECK_THROWS_WITH(train(block, optimizer), Contains("checkpoint::run(policy"));
    CHECK_NOTHROW(train(block, optimizer));  // said once
    nn::enable_checkpointing(block, checkpoint::Policy::none());
    CHECK_NOTHROW(train(block, optimizer));
    // A block that decides otherwise says so.
    nn::enable_checkpointing(block, checkpoint::Policy::full());
    block.policy.note_use();
    CHECK_NOTHROW(train(block, optimizer));
  }
  // One that does not run is no mistake, and neither is one that is gone.
  MyBlock ran;
  ran.obeys = true;
  optim::SGD optimizer(ran.parameters(), {.lr = 0.1});
  MyBlock idle;
  nn::enable_checkpointing(idle, checkpoint::Policy::full());
  {
    MyBlock gone;
    nn::enable_checkpointing(gone, checkpoint::Policy::full());
  }
  CHECK_NOTHROW(train(ran, optimizer));
}

TEST_CASE("the ready models run every Block under its policy, in each setting", "[nn][optim]") {
  for (const char* setting : {"none", "block", "recompute_cheap", "sqrt", "2"}) {
    INFO(setting);
    manual_seed(3);
    nn::Model model =
        nn::make_model("gpt", {.classes = 11, .layers = 2, .width = 12, .heads = 2, .context = 4});
    CHECK(nn::enable_checkpointing(model, checkpoint::Policy::full()) == 2);
    optim::SGD optimizer(model.parameters(), {.lr = 0.1});
    const Tensor ids = Tensor::from(std::vector<std::int64_t>{1, 2, 3, 4}, {1, 4}, {.dtype = DType::i64});
    Tape tape;
    tape.backward(cross_entropy(model(ids, nn::checkpoint_setting_from_string(setting)), ids));
    CHECK_NOTHROW(optimizer.step());
  }
}

TEST_CASE("enable_checkpointing counts its Blocks, and none is an error", "[nn]") {
  nn::Model model = nn::make_model("chain");
  const std::int64_t blocks = nn::enable_checkpointing(model, checkpoint::Policy::full());
  CHECK(blocks == 100);
  nn::TransformerEncoderLayer layer(8, 2);
  CHECK(nn::enable_checkpointing(layer, checkpoint::Policy::full()) == 1);
  nn::Sequential plain(nn::Linear(4, 4), relu, nn::Linear(4, 4));
  CHECK_THROWS_WITH(nn::enable_checkpointing(plain, checkpoint::Policy::full()), Contains("nn::Block"));
}
