// User code that the engine calls (policies, observers, timers, the functions of an op) and that does what it must not: run
// ops, throw, open regions, end the tape. Each is a UserError, and the process goes on.
#include <catch2/catch.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "reprise/autograd/op_timer.h"
#include "reprise/core/dry_run.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using Catch::Contains;

namespace {

// An observer that does something at the first event of a kind.
struct Once : Observer {
  Event when;
  std::function<void()> act;
  bool done = false;
  Once(Event event, std::function<void()> what) : when(event), act(std::move(what)) {}
  void on(Event event, NodeId, const Tensor*, const Tensor*) override {
    if (event == when && !std::exchange(done, true)) act();
  }
};

Tensor region_step(const Tensor& x) {
  return sum(checkpoint::run([&] { return squash(sine(squash(x))); }));
}

Bits gradient_of_region_step(const Tensor& x) {
  release_grads({&x, 1});
  Tape tape;
  tape.backward(region_step(x));
  const Bits result = bits(x.grad());
  release_grads({&x, 1});
  return result;
}

// sin x as an op whose functions call something of the user's.
struct Calling final : Op {
  std::string where;
  std::function<void()> call;
  Calling(std::string place, std::function<void()> f) : where(std::move(place)), call(std::move(f)) {}
  void at(const char* place) const {
    if (where == place) call();
  }
  std::string_view name() const override { return "calling"; }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    at("infer");
    return {in[0]};
  }
  std::size_t workspace(std::span<const ValueInfo>, Device) const override {
    at("workspace");
    return 0;
  }
  void forward(std::span<const ConstView> in, std::span<const View> out,
               std::span<std::byte>) const override {
    at("forward");
    const auto* from = static_cast<const double*>(in[0].data);
    auto* to = static_cast<double*>(out[0].data);
    for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i) to[i] = from[i] * 3;
  }
  Saved saves(Needs) const override {
    at("saves");
    return {};
  }
  std::vector<int> differentiable() const override {
    at("differentiable");
    return {0};
  }
  Keep keep() const override {
    at("keep");
    return Keep::free_choice;
  }
  std::vector<Tensor> backward(const Context&, std::span<const Tensor> gradients) const override {
    at("backward");
    return {gradients[0] * 3.0};
  }
};

constexpr const char* kFunctions[] = {"infer", "workspace", "forward", "saves", "differentiable", "keep"};

}  // namespace

TEST_CASE("a policy that runs an op, opens a region or calls backward is refused, and the tape goes on",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const Bits expected = gradient_of_region_step(x);
  for (const char* what : {"op", "region", "backward"}) {
    INFO(what);
    Tape tape;
    const auto misbehave = [&](const checkpoint::NodeInfo&) {
      if (*what == 'o') squash(x);
      if (*what == 'r') checkpoint::Region region;
      if (*what == 'b') tape.backward(x);
      return checkpoint::Decision::keep;
    };
    CHECK_THROWS_WITH(checkpoint::run(checkpoint::Policy::custom(misbehave), [&] { return squash(x); }),
                      Contains("inside a policy"));
    CHECK(tape.nodes() == 0);
    tape.backward(region_step(x));
    CHECK(bits(x.grad()) == expected);
    release_grads({&x, 1});
  }
}

TEST_CASE("a policy that throws, at the record or when its region is opened, leaves a tape that goes on",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const Bits expected = gradient_of_region_step(x);
  bool throws = true;
  const auto policy = checkpoint::Policy::custom([&](const checkpoint::NodeInfo&) {
    if (throws) throw std::runtime_error("the policy's own");
    return checkpoint::Decision::recompute;
  });
  Tape tape;
  CHECK_THROWS_WITH(checkpoint::run(policy, [&] { return squash(x); }), Contains("the policy's own"));
  CHECK(tape.nodes() == 0);
  throws = false;
  const Tensor loss =
      checkpoint::run([&] { return checkpoint::run(policy, [&] { return region_step(x); }); });
  throws = true;
  CHECK_THROWS_WITH(tape.backward(loss), Contains("the policy's own"));
  CHECK_FALSE(x.grad().defined());
  throws = false;
  tape.backward(loss);
  CHECK(bits(x.grad()) == expected);
}

TEST_CASE("a policy that answers otherwise each time still gives the right bits", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const Bits expected = gradient_of_region_step(x);
  int asked = 0;
  const auto fickle = checkpoint::Policy::custom([&](const checkpoint::NodeInfo&) {
    return ++asked % 2 ? checkpoint::Decision::keep : checkpoint::Decision::recompute;
  });
  Tape tape;
  const Tensor loss =
      checkpoint::run(fickle, [&] { return checkpoint::run(fickle, [&] { return region_step(x); }); });
  tape.backward(loss);
  CHECK(bits(x.grad()) == expected);
}

TEST_CASE("ops that an observer runs are not recorded and change no bit", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const Bits expected = gradient_of_region_step(x);
  for (const Event event :
       {Event::forward, Event::replay, Event::backward, Event::drop, Event::leaf_gradient}) {
    INFO(static_cast<int>(event));
    std::optional<Tensor> made;
    Once watch(event, [&] { made = checkpoint::run([&] { return squash(x); }); });
    {
      Tape tape;
      tape.add_observer(watch);
      tape.backward(region_step(x));
      CHECK(tape.nodes() == 4);
    }
    REQUIRE(made);
    CHECK_FALSE(made->requires_grad());
    CHECK(bits(x.grad()) == expected);
    release_grads({&x, 1});
  }
}

TEST_CASE("an observer that throws is reported by a UserError, and the step can be repeated", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const Bits expected = gradient_of_region_step(x);
  for (const Event event :
       {Event::forward, Event::replay, Event::backward, Event::drop, Event::leaf_gradient}) {
    INFO(static_cast<int>(event));
    Once watch(event, [&] { throw std::runtime_error("the observer's own"); });
    Tape tape;
    tape.add_observer(watch);
    Tensor loss;
    try {
      loss = region_step(x);
      tape.backward(loss);
      FAIL("no error");
    } catch (const UserError& error) {
      CHECK_THAT(error.what(), Contains("an observer threw") && Contains("the observer's own"));
    }
    CHECK_FALSE(x.grad().defined());
    if (!loss.defined()) loss = region_step(x);
    tape.backward(loss);
    CHECK(bits(x.grad()) == expected);
    release_grads({&x, 1});
  }
}

TEST_CASE("an observer that calls backward of its tape is refused", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  const Tensor earlier = sum(squash(x));
  Once watch(Event::forward, [&] { tape.backward(earlier); });
  tape.add_observer(watch);
  CHECK_THROWS_WITH(region_step(x), Contains("inside an observer"));
  tape.backward(region_step(x));
  tape.remove_observer(watch);  // it dies before the handles
  CHECK(x.grad().defined());
}

TEST_CASE("user code that ends the tape that calls it: a UserError, and another tape can be opened",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  const Bits expected = gradient_of_region_step(x);
  for (const Event event :
       {Event::forward, Event::replay, Event::backward, Event::drop, Event::leaf_gradient}) {
    INFO("observer at event " << static_cast<int>(event));
    auto tape = std::make_unique<Tape>();
    Once watch(event, [&] { tape.reset(); });
    tape->add_observer(watch);
    CHECK_THROWS_AS(
        [&] {
          const Tensor loss = region_step(x);
          Tape* raw = tape.get();
          if (raw)
            raw->backward(loss);
          else
            squash(loss);
        }(),
        UserError);
    CHECK_FALSE(tape);
  }
  for (const char* function : {"infer", "forward", "saves", "keep", "backward"}) {
    INFO("op at " << function);
    auto tape = std::make_unique<Tape>();
    CHECK_THROWS_AS(
        [&] {
          const Tensor y = sum(record(Calling(function, [&] { tape.reset(); }), Tensor(x)));
          Tape* raw = tape.get();
          raw->backward(y);
        }(),
        UserError);
    CHECK_FALSE(tape);
  }
  auto tape = std::make_unique<Tape>();
  const auto ends = checkpoint::Policy::custom([&](const checkpoint::NodeInfo&) {
    tape.reset();
    return checkpoint::Decision::keep;
  });
  CHECK_THROWS_AS(checkpoint::run(ends, [&] { return squash(x); }), UserError);
  CHECK_FALSE(tape);
  CHECK(gradient_of_region_step(x) == expected);
}

TEST_CASE("an op whose functions run ops is refused: forward exists once", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  for (const char* function : kFunctions) {
    INFO(function);
    Tape tape;
    CHECK_THROWS_WITH(record(Calling(function, [&] { squash(x); }), Tensor(x)),
                      Contains("inside a function of an op"));
    CHECK(tape.nodes() == 0);
    tape.backward(region_step(x));
  }
}

TEST_CASE("an op whose functions throw changes nothing, also in a replay", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  for (const char* function : kFunctions) {
    INFO(function);
    bool throws = true;
    const auto op = std::make_shared<const Calling>(function, [&] {
      if (throws) throw std::runtime_error("the op's own");
    });
    release_grads({&x, 1});
    Tape tape;
    const std::size_t before = live_bytes();
    CHECK_THROWS_WITH(record(op, Tensor(x)), Contains("the op's own"));
    CHECK(tape.nodes() == 0);
    CHECK(live_bytes() == before);
    throws = false;
    const Tensor loss = sum(checkpoint::run([&] { return squash(record(op, Tensor(x))); }));
    throws = true;
    const bool runs_again = std::string(function) == "forward" || std::string(function) == "workspace";
    if (runs_again) {
      CHECK_THROWS_WITH(tape.backward(loss), Contains("the op's own"));
      CHECK_FALSE(x.grad().defined());
    }
    throws = false;
    tape.backward(loss);
    CHECK(x.grad().defined());
  }
}

TEST_CASE("a backward that opens a region, with create_graph or without, gives the right gradient",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  for (const bool create : {false, true}) {
    std::vector<std::unique_ptr<checkpoint::Region>> left_open;
    Tape tape;
    const Tensor loss =
        sum(record(Calling("backward", [&] { left_open.push_back(std::make_unique<checkpoint::Region>()); }),
                   Tensor(x)));
    const auto [dx] = tape.gradients(loss, {x}, {.create_graph = create});
    CHECK(dx.to_vector() == std::vector<double>(4, 3.0));
    tape.backward(sum(squash(x)));
    release_grads({&x, 1});
  }
}

TEST_CASE("a backward that opens a dry run and leaves it open is refused before any gradient is given",
          "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  std::unique_ptr<DryRun> dry;
  Tape tape;
  const Tensor loss =
      sum(squash(record(Calling("backward", [&] { dry = std::make_unique<DryRun>(); }), Tensor(x))));
  CHECK_THROWS_WITH(tape.backward(loss), Contains("dry run"));
  dry.reset();
  CHECK_FALSE(x.grad().defined());
  tape.backward(sum(squash(x)));
  CHECK(x.grad().defined());
}

TEST_CASE("an op timer that runs an op or throws is told so, and the next op runs", "[engine]") {
  struct Timer : OpTimer {
    std::function<void()> act;
    void ran(const Op&, std::span<const ConstView>, std::span<const View>, double) override { act(); }
  } timer;
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  {
    const TimedOps timed(timer);
    timer.act = [&] { squash(x); };
    CHECK_THROWS_WITH(squash(x), Contains("inside an op timer"));
    timer.act = [] { throw std::runtime_error("the timer's own"); };
    CHECK_THROWS_WITH(squash(x), Contains("the timer's own"));
  }
  CHECK(tape.nodes() == 0);
  tape.backward(region_step(x));
}
