// The backward walk: what an observer hears, gradients of interior values, and when `.grad` is written.
#include <catch2/catch.hpp>

#include "reprise/autograd/tape_state.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

// One word an event: "f0" node 0 forward, r replay, b backward, d drop, o offload, g fetch, L leaf gradient.
struct Log : Observer {
  std::string words;
  void on(Event event, NodeId node, const Tensor* leaf, const Tensor* gradient) override {
    CHECK((leaf != nullptr) == (event == Event::leaf_gradient));
    CHECK((gradient != nullptr) == (event == Event::leaf_gradient));
    const char letter[] = {'f', 'r', 'b', 'd', 'o', 'g', 'L'};
    words +=
        (words.empty() ? "" : " ") + std::string(1, letter[static_cast<int>(event)]) + std::to_string(node.i);
  }
};

}  // namespace

TEST_CASE("what an observer hears of a step with a region", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Log log;
  Tape tape;
  tape.set_observer(&log);
  {
    Tensor h = checkpoint::run([&] { return squash(squash(x)); });
    h = sum(std::move(h));
    CHECK(log.words == "f0 f1 d0 f2 d1");
    log.words.clear();
    tape.backward(h);
  }
  // Squash saves its output: both are made again for the last one, and each is dropped after its own backward.
  CHECK(log.words == "b2 r0 r1 b1 d1 b0 d0 L0 d2");
}

TEST_CASE("what an observer hears of an offloaded value", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Log log;
  Tape tape;
  tape.set_observer(&log);
  const auto offload = checkpoint::Policy::custom(
      [](const NodeInfo& node) { return node.op == "sine" ? Decision::offload : Decision::recompute; });
  const Tensor loss = sum(checkpoint::run(offload, [&] { return sine(sine(x)); }));
  // Nobody reads the second one's output again, but that is not known before the region ends.
  CHECK(log.words == "o0 f0 o1 f1 d0 f2 d1");
  log.words.clear();
  tape.backward(loss);
  CHECK(log.words == "b2 g0 b1 d0 b0 L0");
  CHECK(tape.replays() == 0);
}

TEST_CASE("a leaf's gradient event comes once, after its last use, with the complete gradient", "[engine]") {
  struct LeafGradients : Observer {
    std::vector<std::pair<std::string, NodeId>> events;
    std::vector<Bits> gradients;
    void on(Event event, NodeId node, const Tensor* leaf, const Tensor* gradient) override {
      if (event != Event::leaf_gradient) return;
      events.emplace_back(leaf->name(), node);
      gradients.push_back(bits(*gradient));
      CHECK_FALSE(leaf->grad().defined());  // not committed yet
    }
  };
  const Tensor a = random_leaf({4}, 1), b = random_leaf({4}, 2);
  a.set_name("a");
  b.set_name("b");
  for (const bool in_region : {false, true}) {
    release_grads({&a, 1});
    release_grads({&b, 1});
    LeafGradients observer;
    Tape tape;
    tape.set_observer(&observer);
    const Tensor loss =
        sum(checkpoint::run(in_region ? checkpoint::Policy::full() : checkpoint::Policy::none(), [&] {
          const Tensor h = sine(a);  // node 0
          const Tensor g = h * b;    // node 1
          return squash(g * a) * g;  // nodes 2, 3, 4
        }));
    tape.backward(loss);
    REQUIRE(observer.events.size() == 2);
    CHECK(observer.events[0].first == "b");
    CHECK(observer.events[0].second.i == 1);
    CHECK(observer.events[1].first == "a");
    CHECK(observer.events[1].second.i == 0);
    CHECK(observer.gradients[0] == bits(b.grad()));
    CHECK(observer.gradients[1] == bits(a.grad()));
  }
}

TEST_CASE("a leaf that a node reads twice has one gradient event", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Log log;
  Tape tape;
  const Tensor loss = sum(x * x);
  tape.set_observer(&log);
  tape.backward(loss);
  CHECK(log.words == "b1 b0 L0");
}

TEST_CASE("gradients with respect to interior values, whether or not their bytes are there", "[engine]") {
  const Tensor x = random_constant({4, 4}, 1), w = random_leaf({4, 4}, 2);
  Bits of_inside, of_w;
  for (const bool in_region : {false, true}) {
    Log log;
    Tape tape;
    Tensor inside, view;
    const Tensor loss =
        sum(checkpoint::run(in_region ? checkpoint::Policy::full() : checkpoint::Policy::none(), [&] {
          inside = squash(matmul(x, w));
          view = slice(inside, 1, 3);
          return sine(matmul(inside, w)) * 0.5 + pad(squash(view), 0, 1, 1);
        }));
    const auto [g, gv, gw] = tape.gradients(loss, {inside, view, w}, {.retain_graph = true});
    CHECK(g.shape() == inside.shape());
    CHECK(gv.shape() == view.shape());
    CHECK_FALSE(w.grad().defined());
    if (!in_region) {
      of_inside = bits(g);
      of_w = bits(gw);
    }
    CHECK(bits(g) == of_inside);
    CHECK(bits(gw) == of_w);
    // Only what lies between is walked.
    tape.set_observer(&log);
    const auto [alone] = tape.gradients(loss, {inside}, {.retain_graph = true});
    CHECK(bits(alone) == of_inside);
    const std::string words = log.words + ' ';
    CHECK(words.find("b3 ") != std::string::npos);
    CHECK(words.find("b1 ") == std::string::npos);
    CHECK(words.find("b0 ") == std::string::npos);
    const auto [seed] = tape.gradients(loss, {loss});
    CHECK(seed.item() == 1);
  }
}

TEST_CASE("gradients leave the rest of the graph unspent", "[engine]") {
  const Tensor x = random_leaf({4}, 1);
  Tape tape;
  const Tensor h = squash(x);
  const Tensor loss = sum(sine(h));
  const auto [of_h] = tape.gradients(loss, {h});
  CHECK_THROWS_AS(tape.gradients(loss, {h}), UserError);
  tape.backward(h, {.seed = of_h});  // squash has not been walked
  CHECK(x.grad().defined());
}

TEST_CASE("Commit::eager gives the same bits with one set of gradients less at the peak", "[engine]") {
  std::vector<Tensor> weights;
  for (std::uint64_t k = 0; k < 8; ++k) weights.push_back(random_leaf({32, 32}, k + 1, 0.3));
  const Tensor x = random_constant({2, 32}, 9);
  const auto step = [&](Commit commit) {
    Tape tape;
    Tensor h = x;
    for (const Tensor& weight : weights) h = squash(matmul(std::move(h), weight));
    const Tensor loss = sum(std::move(h));
    tape.backward(loss, {.commit = commit});
  };
  const auto twice = [&](Commit commit) {
    release_grads(weights);
    step(commit);
    const std::size_t peak = peak_of([&] { step(commit); });
    return std::pair(bits(grads(weights)), peak);
  };
  const auto [at_end, end_peak] = twice(Commit::at_end);
  const auto [eager, eager_peak] = twice(Commit::eager);
  CHECK(eager == at_end);
  CHECK(end_peak > 8 * 8192);
  CHECK(eager_peak < 2 * 8192);
  release_grads(weights);
  const Prediction predicted = predict([&] {
    step(Commit::eager);
    return std::int64_t{0};
  });
  CHECK(peak_of([&] { step(Commit::eager); }) == predicted.peak);
}

TEST_CASE("after a failed eager commit zero_grad makes the gradients valid again", "[engine][failure]") {
  const Tensor a = random_leaf({4}, 1), b = random_leaf({4}, 2);
  const std::vector<Tensor> leaves = {a, b};
  const auto loss_of = [&] { return sum(sine(squash(a) * b)); };
  {
    Tape tape;
    tape.backward(loss_of());
  }
  const Bits expected = bits(grads(leaves));
  int failures = 0;
  for (std::int64_t n = 0;; ++n) {
    Tape tape;
    const Tensor loss = loss_of();
    memory::fail_after(n);
    bool failed = false;
    try {
      tape.backward(loss, {.commit = Commit::eager});
    } catch (const OutOfMemory&) {
      failed = true;
    }
    memory::fail_after(-1);
    if (!failed) break;
    ++failures;
    release_grads(leaves);
    tape.backward(loss, {.commit = Commit::eager});
    CHECK(bits(grads(leaves)) == expected);
  }
  CHECK(failures > 3);
}

TEST_CASE("a gradient that is a saved value itself is not added to in place", "[engine]") {
  // The gradient is made in forward and saved, as fused losses do: backward hands it out as it is.
  struct FusedLoss final : Op {
    std::string_view name() const override { return "fused_loss"; }
    std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
      return {{{1}, in[0].dtype, in[0].device}, in[0]};
    }
    void forward(std::span<const ConstView> in, std::span<const View> out,
                 std::span<std::byte>) const override {
      *out[0].as<double>() = 0;
      for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i) {
        const double x = in[0].as<double>()[i];
        *out[0].as<double>() += x * x;
        out[1].as<double>()[i] = 2 * x;
      }
    }
    Saved saves(Needs) const override { return {.inputs = {}, .outputs = {1}}; }
    std::vector<Tensor> backward(const Context& context, std::span<const Tensor>) const override {
      return {context.outputs[1]};
    }
  };
  const auto op = std::make_shared<const FusedLoss>();
  const Tensor x = random_leaf({4}, 1);
  const std::vector<double> at = x.to_vector();
  for (const bool in_region : {false, true}) {
    release_grads({&x, 1});
    Tape tape;
    Tensor fused;  // the user may still read it
    const Tensor loss =
        checkpoint::run(in_region ? checkpoint::Policy::full() : checkpoint::Policy::none(), [&] {
          const Tensor other = sum(x * 3.0);
          std::vector<Tensor> both = record(op, tensors(Tensor(x)));
          fused = both[1];
          return both[0] + other;
        });
    for (int pass = 1; pass <= 3; ++pass) {
      if (pass == 2) fused = {};
      tape.backward(loss, {.retain_graph = true});
      for (std::size_t i = 0; i < 4; ++i) {
        CHECK(x.grad().to_vector()[i] == Approx(pass * (2 * at[i] + 3)));
        if (fused.defined()) CHECK(fused.to_vector()[i] == 2 * at[i]);
      }
    }
    x.grad().write<double>()[0] = 100;  // .grad is the user's
    tape.backward(loss);
    CHECK(x.grad().to_vector()[0] == Approx(100 + 2 * at[0] + 3));
    CHECK(x.grad().to_vector()[1] == Approx(4 * (2 * at[1] + 3)));
  }
  // Alone: .grad must not be the tape's buffer.
  release_grads({&x, 1});
  Tape tape;
  const Tensor loss = checkpoint::run([&] { return record(op, tensors(Tensor(x))).front(); });
  tape.backward(loss, {.retain_graph = true});
  x.grad().write<double>()[0] = 100;
  tape.backward(loss);
  CHECK(x.grad().to_vector()[0] == Approx(100 + 2 * at[0]));
}

TEST_CASE("gradients of leaves are committed as buffers of their own", "[engine]") {
  const Tensor a = random_leaf({4}, 1), b = random_leaf({4}, 2), v = random_leaf({2, 2}, 3);
  Tape tape;
  const Tensor loss = sum(a + b + reshape(v, {4}));
  tape.backward(loss, {.retain_graph = true});
  a.grad().write<double>()[0] = 5;
  CHECK(b.grad().to_vector() == std::vector<double>(4, 1));
  CHECK(v.grad().to_vector() == std::vector<double>(4, 1));
  CHECK(memory::by_tag(Device::cpu())["gradient"] >= 3 * 32);
}
