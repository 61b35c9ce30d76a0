// The observer that finds the first NaN or infinity, and several observers on one tape.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "reprise/autograd/finite_check.h"
#include "reprise/core/dry_run.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

struct Log : Observer {
  std::string text;
  std::string* all;
  Log(std::string name, std::string* log) : text(std::move(name)), all(log) {}
  void on(Event event, NodeId node, const Tensor*, const Tensor*) override {
    if (event == Event::forward) *all += text + std::to_string(node.i) + " ";
  }
};

}  // namespace

TEST_CASE("the finite check names the first op whose output is NaN, and says that its inputs are finite",
          "[engine]") {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    INFO(to_string(dtype));
    const Tensor x = Tensor::from({1.0, 2.0, -1.0, 4.0}, {4}, {.dtype = dtype, .requires_grad = true});
    Tape tape;
    FiniteCheck check(tape);
    const Tensor fine = x * 2.0;
    CHECK_FALSE(check.first());
    const Tensor loss = mean(log(fine) + 1.0);
    REQUIRE(check.first());
    CHECK(check.first()->op == "log");
    CHECK(check.first()->node.i == 1);
    CHECK(check.first()->nan);
    CHECK_FALSE(check.first()->in_gradient);
    CHECK_THAT(check.first()->text,
               Contains("log (node 1)") && Contains("NaN at element 2") && Contains("its inputs are finite"));
  }
}

TEST_CASE("the finite check keeps the first infinity and the first NaN apart", "[engine]") {
  const Tensor x = Tensor::from({0.0, 1.0}, {2}, {.dtype = DType::f64, .requires_grad = true});
  Tape tape;
  FiniteCheck check(tape);
  const Tensor infinite = log(x);
  REQUIRE(check.first());
  CHECK_FALSE(check.first()->nan);
  CHECK_FALSE(check.first_nan());
  const Tensor nan = infinite - infinite;
  CHECK(check.first()->op == "log");
  REQUIRE(check.first_nan());
  CHECK(check.first_nan()->op == "sub");
  CHECK_THAT(check.first_nan()->text, Contains("input 0 has infinity already"));
}

TEST_CASE("the finite check finds a gradient of a leaf that is not finite", "[engine]") {
  const Tensor x = Tensor::from({0.0, 1.0}, {2}, {.dtype = DType::f64, .requires_grad = true});
  x.set_name("x");
  Tape tape;
  FiniteCheck check(tape);
  tape.backward(sum(sqrt(x)));
  REQUIRE(check.first());
  CHECK(check.first()->in_gradient);
  CHECK_THAT(check.first()->text, Contains("leaf x") && Contains("sqrt"));
}

TEST_CASE("the finite check is quiet for finite steps, in dry runs and after its tape", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  {
    Tape tape;
    FiniteCheck check(tape);
    tape.backward(sum(checkpoint::run([&] { return squash(sine(x)); })));
    CHECK_FALSE(check.first());
  }
  {
    const DryRun dry;
    Tape tape;
    FiniteCheck check(tape);
    tape.backward(sum(log(x)));
    CHECK_FALSE(check.first());
  }
  auto tape = std::make_unique<Tape>();
  const FiniteCheck check(*tape);
  tape.reset();
}

TEST_CASE("a tape tells several observers, in the order in which they were added", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  std::string heard;
  Log a("a", &heard), b("b", &heard), c("c", &heard);
  Tape tape;
  tape.add_observer(a);
  tape.add_observer(b);
  tape.add_observer(a);  // again
  Tensor h = sine(x);
  tape.remove_observer(a);
  tape.remove_observer(a);
  h = sine(h);
  tape.set_observer(&c);
  h = sine(h);
  tape.set_observer(nullptr);
  h = sine(h);
  CHECK(heard == "a0 b0 b1 c2 ");
}

TEST_CASE("an observer may add and remove observers while it is told", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  std::string heard;
  Log late("late", &heard);
  struct Swaps : Observer {
    Tape& tape;
    Observer& other;
    Swaps(Tape& t, Observer& o) : tape(t), other(o) {}
    void on(Event, NodeId, const Tensor*, const Tensor*) override {
      tape.remove_observer(*this);
      tape.add_observer(other);
    }
  };
  Tape tape;
  Swaps first(tape, late), second(tape, late);
  tape.add_observer(first);
  tape.add_observer(second);
  Tensor h = sine(x);
  h = sine(h);
  CHECK(heard == "late0 late1 ");
  tape.set_observer(nullptr);
}
