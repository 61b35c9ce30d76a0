// What the tape refuses, what it says, and that nothing has changed then.
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <thread>

#include "reprise/autograd/tape_state.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

struct Counter : Observer {
  int events = 0;
  void on(Event, NodeId, const Tensor*, const Tensor*) override { ++events; }
};

}  // namespace

TEST_CASE("a second backward without retain_graph is refused before anything runs", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Counter counter;
  Tape tape;
  const Tensor trunk = squash(x);
  const Tensor loss = sum(checkpoint::run([&] { return squash(sine(trunk)); })), other = sum(sine(trunk));
  tape.backward(loss);
  const Bits once = bits(x.grad());
  const std::int64_t replays = tape.replays();
  tape.set_observer(&counter);
  CHECK_THROWS_WITH(tape.backward(loss),
                    Contains("a second time through") && Contains("retain_graph = true"));
  // The other branch is fresh, but leads to the spent trunk.
  CHECK_THROWS_WITH(tape.backward(other), Contains("squash (node 0)"));
  CHECK(counter.events == 0);
  CHECK(tape.replays() == replays);
  CHECK(bits(x.grad()) == once);
}

TEST_CASE("retain_graph: twice is exactly double, and the tape holds what it held", "[engine]") {
  ResidualBlocks model(4);
  for (const Style style : kStyles) {
    INFO(name(style));
    model.reset();
    Tape tape;
    const Tensor loss = model.forward(style);
    const std::size_t before = live_bytes();
    tape.backward(loss, {.retain_graph = true});
    std::size_t gradient_bytes = 0;
    for (const Tensor& leaf : model.leaves) gradient_bytes += leaf.grad().bytes();
    CHECK(live_bytes() == before + gradient_bytes);
    std::vector<std::vector<double>> once, twice;
    for (const Tensor& leaf : model.leaves) once.push_back(leaf.grad().to_vector());
    const std::int64_t replays = tape.replays();
    tape.backward(loss);
    CHECK(tape.replays() == 2 * replays);
    for (std::size_t i = 0; i < model.leaves.size(); ++i) {
      twice.push_back(model.leaves[i].grad().to_vector());
      for (double& value : once[i]) value *= 2;
    }
    CHECK(twice == once);
    CHECK_THROWS_AS(tape.backward(loss), UserError);
  }
}

TEST_CASE("a gradient that reaches an output without one is an error that names op and output", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  for (const bool in_region : {false, true}) {
    release_grads({&x, 1});
    Tape tape;
    auto [square, largest] =
        checkpoint::run(in_region ? checkpoint::Policy::full() : checkpoint::Policy::none(),
                        [&] { return square_and_largest(sine(x)); });
    const Tensor loss = sum(square * largest);
    CHECK_THROWS_WITH(tape.backward(loss),
                      Contains("output 1 of square_and_largest") && Contains("no gradient"));
    CHECK_FALSE(x.grad().defined());
    const Tensor detached = sum(square * largest.detach());
    tape.backward(detached);
    CHECK(x.grad().defined());
  }
}

TEST_CASE("a leaf written between forward and backward is refused where it is read, and only there",
          "[engine]") {
  const Tensor p = random_leaf({4}, 1);
  p.set_name("p");
  {
    Tape tape;
    const Tensor loss = sum(p * p);
    p.write<double>()[0] = 0.5;
    CHECK_THROWS_WITH(tape.backward(loss), Contains("backward of mul") && Contains("'p'"));
    CHECK_FALSE(p.grad().defined());
    const Tensor again = sum(p * p);  // what is recorded now reads the new contents
    tape.backward(again);
    CHECK(p.grad().to_vector()[0] == 1.0);
  }
  release_grads({&p, 1});
  const auto double_squash = [&] { return squash(p + p); };
  {
    Tape tape;  // nothing reads p again
    const Tensor loss = sum(double_squash());
    p.write<double>()[0] = 0.25;
    tape.backward(loss);
    CHECK(p.grad().defined());
  }
  release_grads({&p, 1});
  {
    Tape tape;  // the replay does
    const Tensor loss = sum(checkpoint::run(double_squash));
    p.write<double>()[0] = 0.125;
    CHECK_THROWS_WITH(tape.backward(loss), Contains("replay of add") && Contains("'p'"));
    CHECK_FALSE(p.grad().defined());
  }
}

TEST_CASE("backward inside an open region is refused; after its end it works", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  checkpoint::Region region;
  const Tensor loss = sum(sine(x));
  CHECK_THROWS_WITH(tape.backward(loss), Contains("open checkpoint region"));
  CHECK_THROWS_WITH(tape.gradients(loss, {x}), Contains("open checkpoint region"));
  region.end();
  tape.backward(loss);
  CHECK(x.grad().defined());
}

TEST_CASE("regions that end out of order", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  auto outer = std::make_unique<checkpoint::Region>(), inner = std::make_unique<checkpoint::Region>();
  Tensor h = squash(x);
  CHECK_THROWS_WITH(outer->end(), Contains("reverse order"));
  h = squash(std::move(h));
  inner->end();
  outer->end();  // it stayed open
  CHECK(tape.state().innermost == 0);
  outer = std::make_unique<checkpoint::Region>();
  inner = std::make_unique<checkpoint::Region>();
  h = squash(std::move(h));
  outer.reset();  // never throws: both end, and the next record says it
  CHECK(tape.state().innermost == 0);
  CHECK_THROWS_WITH(squash(h), Contains("reverse order"));
  inner->end();
  inner.reset();
  const Tensor loss = sum(squash(h));
  outer = std::make_unique<checkpoint::Region>();
  inner = std::make_unique<checkpoint::Region>();
  outer.reset();
  CHECK_THROWS_WITH(tape.backward(loss), Contains("reverse order"));
  CHECK_FALSE(x.grad().defined());
  tape.backward(loss);
  CHECK(x.grad().defined());
  CHECK(tape.replays() > 0);
}

TEST_CASE("a region left by an exception is closed like any other", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Bits expected;
  {
    Tape tape;
    tape.backward(sum(squash(x)));
    expected = bits(x.grad());
  }
  release_grads({&x, 1});
  Tape tape;
  const std::size_t before = live_bytes();
  Tensor escaped;
  const auto broken = [&] {
    escaped = squash(x);
    return checkpoint::run([&] { return squash(sine(escaped)) + random_leaf({3}, 1); });
  };
  CHECK_THROWS_WITH(checkpoint::run(broken), Contains("add") && Contains("[3]"));
  CHECK(tape.state().innermost == 0);
  CHECK(tape.nodes() == 3);
  CHECK(live_bytes() == before + escaped.bytes());
  const Tensor loss = sum(std::move(escaped));
  tape.backward(loss);
  CHECK(tape.replays() == 1);
  CHECK(bits(x.grad()) == expected);
}

TEST_CASE("a region may outlive its tape, and does nothing without one", "[engine]") {
  std::optional<checkpoint::Region> region;
  {
    Tape tape;
    region.emplace();
    const Tensor h = squash(random_leaf({4}, 1));
    CHECK(tape.state().innermost != 0);
  }
  {
    Tape another;  // may lie at the same address
    checkpoint::Region its_own;
    region.reset();
    CHECK(another.state().innermost != 0);
  }
  const checkpoint::Region idle;
  CHECK(squash(random_leaf({4}, 1)).defined());
  Tape tape;
  const NoGrad no_grad;
  const checkpoint::Region paused;
  CHECK(tape.state().innermost == 0);
}

TEST_CASE("a tracked value of another tape, or of one that has ended, is refused until detached",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1), y = random_leaf({4}, 2);
  Tensor made, loss;
  {
    Tape tape;
    made = squash(x);
    loss = sum(made);
  }
  CHECK(made.to_vector().size() == 4);
  Tape tape;
  CHECK_THROWS_WITH(made * y, Contains("mul") && Contains("another tape") && Contains("detach()"));
  CHECK(tape.nodes() == 0);
  CHECK_THROWS_WITH(tape.backward(loss), Contains("another tape"));
  CHECK_THROWS_WITH(tape.gradients(sum(y), {made}), Contains("does not depend on input 0"));
  const Tensor product = sum(made.detach() * y);
  tape.backward(product);
  CHECK(bits(y.grad()) == bits(made));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a handle that is detached on another tape keeps its place on its own", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape first({.start = false}), second({.start = false});
  Tensor h;
  {
    const Tape::Recording recording(first);
    h = sine(x);
  }
  {
    const Tape::Recording recording(second);
    const Tensor constant = h.detach();
    CHECK_FALSE(constant.requires_grad());
    CHECK_THROWS_AS(sine(h), UserError);
  }
  const Tape::Recording recording(first);
  const Tensor loss = sum(squash(h));
  first.backward(loss);
  CHECK(x.grad().defined());
}

TEST_CASE("two tapes alive in turn: a leaf that both read gets both gradients whole", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  // The same in one go each.
  Bits first_alone, second_alone, wanted_alone;
  const auto part = [&](double factor) {
    return sum(checkpoint::run([&] { return squash(sine(x * factor)); }));
  };
  {
    Tape tape;
    const Tensor a = part(1), b = part(2), loss = a + b;
    wanted_alone = bits(tape.gradients(loss, {x}, {.retain_graph = true})[0]);
    tape.backward(loss);
    first_alone = bits(x.grad());
  }
  release_grads({&x, 1});
  {
    Tape tape;
    const Tensor loss = part(3);
    tape.backward(loss);
    second_alone = bits(x.grad());
  }
  release_grads({&x, 1});

  struct LeafEvents : Observer {
    int count = 0;
    void on(Event event, NodeId, const Tensor*, const Tensor*) override {
      count += event == Event::leaf_gradient;
    }
  } events;
  Tape first({.start = false}), second({.start = false});
  Tensor a, b, c;
  {
    const Tape::Recording recording(first);
    a = part(1);
    CHECK_THROWS_AS(Tape(), UserError);
    CHECK_THROWS_AS(Tape::Recording(second), UserError);
  }
  {
    const Tape::Recording recording(second);
    c = part(3);
  }
  {
    const Tape::Recording recording(first);
    b = part(2);
    a = a + b;
  }
  CHECK_FALSE(sum(x).requires_grad());  // no tape records
  CHECK(bits(first.gradients(a, {x}, {.retain_graph = true})[0]) == wanted_alone);
  first.set_observer(&events);
  first.backward(a);
  CHECK(events.count == 1);
  CHECK(bits(x.grad()) == first_alone);
  release_grads({&x, 1});
  second.backward(c);
  CHECK(bits(x.grad()) == second_alone);
}

TEST_CASE("a tape belongs to the thread that opened it", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  const Tensor loss = sum(sine(x));
  std::string backward, gradients, recording;
  const auto message = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  };
  bool tracked = true;
  std::thread other([&] {
    backward = message([&] { tape.backward(loss); });
    gradients = message([&] { tape.gradients(loss, {x}); });
    recording = message([&] { const Tape::Recording here(tape); });
    tracked = sine(x).requires_grad();  // no tape records there
  });
  other.join();
  for (const std::string& text : {backward, gradients, recording})
    CHECK_THAT(text, Contains("opened on another thread"));
  CHECK_FALSE(tracked);
  CHECK(tape.nodes() == 2);
  tape.backward(loss);
  CHECK(x.grad().defined());
}

TEST_CASE("what cannot be differentiated is refused", "[engine]") {
  const Tensor x = random_leaf({4}, 1), constant = random_constant({4}, 2);
  Tape tape;
  const Tensor vector = sine(x), loss = sum(vector);
  CHECK_THROWS_WITH(tape.backward({}), Contains("undefined"));
  CHECK_THROWS_WITH(tape.backward(sum(constant)), Contains("does not depend on anything"));
  CHECK_THROWS_WITH(tape.backward(vector), Contains("not one element") && Contains("seed"));
  CHECK_THROWS_WITH(tape.backward(vector, {.seed = random_constant({3}, 1)}), Contains("does not fit"));
  CHECK_THROWS_WITH(tape.gradients(loss, {constant}), Contains("input 0 does not require a gradient"));
  const Tensor unused = random_leaf({4}, 3);
  CHECK_THROWS_WITH(tape.gradients(loss, {x, unused}), Contains("input 1") && Contains("allow_unused"));
  const auto [dx, none] = tape.gradients(loss, {x, unused}, {.retain_graph = true, .allow_unused = true});
  CHECK(dx.defined());
  CHECK_FALSE(none.defined());
  // A seed of ones is what a sum passes on.
  tape.backward(vector, {.seed = Tensor::ones({4}, {.dtype = DType::f64}), .retain_graph = true});
  CHECK(bits(x.grad()) == bits(dx));
}

TEST_CASE("only one tape records on a thread", "[engine]") {
  Tape tape;
  CHECK_THROWS_WITH(Tape(), Contains("already recording"));
  const Tensor x = random_leaf({4}, 1);
  CHECK(sine(x).requires_grad());
  {
    const NoGrad no_grad;
    CHECK_FALSE(sine(x).requires_grad());
  }
  CHECK(tape.nodes() == 1);
}

TEST_CASE("an op whose backward returns the wrong thing is named", "[engine]") {
  struct Wrong final : Op {
    int what;
    explicit Wrong(int w) : what(w) {}
    std::string_view name() const override { return "wrong"; }
    std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0]}; }
    std::optional<Alias> alias(std::span<const ValueInfo>) const override { return Alias{0, 0}; }
    void forward(std::span<const ConstView>, std::span<const View>, std::span<std::byte>) const override {}
    std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
      if (what == 0) return {};
      return {sum(gradients[0])};
    }
  };
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  const Tensor none = sum(record(Wrong(0), Tensor(x))), shape = sum(record(Wrong(1), Tensor(x)));
  CHECK_THROWS_WITH(tape.backward(none), Contains("wrong: backward returned 0 gradients for 1 inputs"));
  CHECK_THROWS_WITH(tape.backward(shape), Contains("wrong: backward returned a gradient f64[]"));
  CHECK_FALSE(x.grad().defined());
}
