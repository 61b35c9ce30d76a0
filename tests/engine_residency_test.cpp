// Whose bytes are here, and why: what regions keep, what handles keep, what a replay makes and lets go of.
#include <catch2/catch.hpp>

#include "reprise/autograd/offload.h"
#include "reprise/autograd/tape_state.h"
#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;
using checkpoint::Policy;

namespace {

// The slot of an output of the first node of this name, or of the `nth` such node.
Index slot_of(const TapeState& tape, std::string_view op, std::size_t output = 0, int nth = 0) {
  for (const Node& node : tape.nodes)
    if (node.op->name() == op && nth-- == 0) return tape.value(tape.outputs(node)[output]).slot;
  FAIL("no node " << op);
  return -1;
}
bool resident(const TapeState& tape, Index s) { return tape.slot(s).current != nullptr; }

}  // namespace

TEST_CASE("a region whose output nobody uses keeps nothing", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Tape tape;
  const std::size_t before = live_bytes();
  const Tensor outside = x * 2.0;
  checkpoint::run([&] { return squash(squash(matmul(outside, w))); });
  CHECK(live_bytes() == before + outside.bytes());
  // What a policy keeps is let go of where nobody will need it.
  checkpoint::run(Policy::save_only({"mul_scalar"}), [&] { return squash(w) * 2.0; });
  CHECK(live_bytes() == before + outside.bytes());
  // Here the kept matmul is needed, for squash to be made again.
  checkpoint::run(Policy::save_only({"matmul"}), [&] { return squash(matmul(outside, w)) * 1.0 + 1.0; });
  CHECK(live_bytes() == before + outside.bytes() + x.bytes());
}

TEST_CASE("a boundary is held while its region records, and narrowed at its exit to what is needed",
          "[engine]") {
  const Tensor w = random_leaf({8, 8}, 2);
  const std::size_t one = w.bytes();
  Tape tape;
  const std::size_t before = live_bytes();
  Tensor added = w * 2.0, multiplied = w * 3.0;
  checkpoint::Region region;
  Tensor h = squash(w) * std::move(multiplied);
  h = std::move(h) + std::move(added);
  CHECK(live_bytes() == before + 3 * one);  // both inputs and the output
  region.end();
  CHECK(live_bytes() == before + 2 * one);  // no backward reads what was added
  tape.backward(sum(std::move(h)));
  CHECK(tape.replays() == 1);  // squash
}

TEST_CASE("a boundary is released when none of its pending saves lacks bytes", "[engine]") {
  struct LiveAtBackward : Observer {
    std::vector<std::size_t> live;
    void on(Event event, NodeId, const Tensor*, const Tensor*) override {
      if (event == Event::backward) live.push_back(live_bytes());
    }
  } observer;
  const Tensor w = random_leaf({64}, 2);
  Tape tape;
  const std::size_t before = live_bytes();
  Tensor h = w * 2.0;
  h = checkpoint::run([&] { return squash(squash(std::move(h))); });
  const Tensor loss = sum(std::move(h));
  CHECK(live_bytes() == before + w.bytes() + loss.bytes());  // the boundary
  tape.set_observer(&observer);
  tape.backward(loss);
  REQUIRE(observer.live.size() == 4);  // sum, squash, squash, mul_scalar
  // After the first squash: its two saves, the gradient that is on its way, and no boundary.
  CHECK(observer.live[1] == before + loss.bytes() + 3 * w.bytes());
  CHECK(observer.live[2] == before + loss.bytes() + 2 * w.bytes());
  CHECK(tape.replays() == 2);
}

TEST_CASE("what a region keeps goes value by value, as the walk passes it", "[engine]") {
  const Tensor w = random_leaf({64}, 2);
  Tape tape;
  struct ResidentAtBackward : Observer {
    const TapeState& tape;
    std::vector<std::pair<bool, bool>> resident;  // the boundary, what is kept
    explicit ResidentAtBackward(const TapeState& t) : tape(t) {}
    void on(Event event, NodeId, const Tensor*, const Tensor*) override {
      if (event == Event::backward)
        resident.emplace_back(::resident(tape, slot_of(tape, "mul_scalar")),
                              ::resident(tape, slot_of(tape, "mul_scalar", 0, 1)));
    }
  } observer(tape.state());
  Tensor boundary = w * 2.0;
  const Tensor loss = sum(checkpoint::run(Policy::save_only({"mul_scalar"}),
                                          [&] { return squash(squash(squash(std::move(boundary)) * 3.0)); }));
  tape.set_observer(&observer);
  tape.backward(loss);
  // sum, squash, squash, mul_scalar, squash, mul_scalar: the first two squashes are made again from the kept product,
  // which goes when the walk reaches it; the boundary goes when the last squash is made from it.
  using Seen = std::vector<std::pair<bool, bool>>;
  CHECK(observer.resident ==
        Seen{{true, true}, {true, true}, {true, true}, {true, false}, {false, false}, {false, false}});
  CHECK(tape.replays() == 3);
}

TEST_CASE("after backward a tape holds nothing but what can never be made again", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  for (const Policy& policy :
       {Policy::none(), Policy::full(), Policy::save_only({"matmul", "squash", "mul_scalar"})}) {
    release_grads({&w, 1});
    const std::size_t before = live_bytes();
    Tape tape;
    {
      const Tensor outside = x * 2.0;
      Tensor inside;
      const Tensor loss = sum(checkpoint::run(policy, [&] {
        inside = squash(matmul(outside, w));
        return squash(matmul(inside, w));
      }));
      tape.backward(loss);
    }
    CHECK(live_bytes() == before + w.bytes());  // the gradient
  }
}

TEST_CASE("a user's handle to an interior value saves its replay", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Tape tape;
  Tensor inside;
  const Tensor loss = sum(checkpoint::run([&] {
    Tensor h = squash(matmul(x, w));
    inside = h;
    return squash(matmul(squash(matmul(std::move(h), w)), w));
  }));
  tape.backward(loss, {.retain_graph = true});
  CHECK(tape.replays() == 4);  // from the handle on
  const Bits with = bits(w.grad());
  inside = {};
  release_grads({&w, 1});
  tape.backward(loss, {.retain_graph = true});
  CHECK(tape.replays() == 4 + 6);
  CHECK(bits(w.grad()) == with);
}

TEST_CASE("a small view that the user holds keeps its whole buffer, and explain says so", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Tape tape;
  const std::size_t before = live_bytes();
  Tensor row;
  Tensor h = checkpoint::run([&] {
    Tensor m = matmul(x, w);
    row = slice(m, 0, 1);
    return squash(std::move(m));
  });
  CHECK(live_bytes() == before + 2 * 512);
  const std::string text = tape.explain(row);
  INFO(text);
  CHECK(text.find("slice") != std::string::npos);
  CHECK(text.find("a view at byte 0 of a buffer of 512 bytes made by matmul") != std::string::npos);
  CHECK(text.find("hold the whole buffer of 512 bytes") + text.find("holds the whole buffer of 512 bytes") !=
        2 * std::string::npos);
  row = {};
  CHECK(live_bytes() == before + 512);
  tape.backward(sum(std::move(h)));
  CHECK(tape.replays() == 2);
}

TEST_CASE("a view of a dropped value that is saved outside the region", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Bits expected;
  for (const bool in_region : {false, true}) {
    release_grads({&w, 1});
    Tape tape;
    Tensor v = checkpoint::run(in_region ? Policy::full() : Policy::none(),
                               [&] { return slice(squash(matmul(x, w)), 2, 4); });
    const Tensor loss = sum(std::move(v) * v);
    tape.backward(loss);
    if (!in_region) expected = bits(w.grad());
    CHECK(bits(w.grad()) == expected);
    // The view's buffer stays for the product; to the region it is interior, so it is made again for squash.
    CHECK(tape.replays() == (in_region ? 2 : 0));
  }
}

TEST_CASE("a replay never overwrites an output that is resident", "[engine]") {
  // Not a pure function: what it writes the second time tells who wrote.
  struct Twins final : Op {
    std::shared_ptr<int> runs = std::make_shared<int>(0);
    std::string_view name() const override { return "twins"; }
    std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override { return {in[0], in[0]}; }
    void forward(std::span<const ConstView> in, std::span<const View> out,
                 std::span<std::byte>) const override {
      ++*runs;
      for (std::int64_t i = 0; i < in[0].info->shape.numel(); ++i)
        out[0].as<double>()[i] = out[1].as<double>()[i] = *runs;
    }
    std::vector<int> differentiable() const override { return {0, 1}; }
    Saved saves(Needs) const override { return {.inputs = {}, .outputs = {1}}; }
    std::vector<Tensor> backward(const Context& context, std::span<const Tensor>) const override {
      return {context.outputs[1]};
    }
  };
  const Tensor x = random_leaf({4}, 1);
  const auto op = std::make_shared<const Twins>();
  Tape tape;
  Tensor held;
  const Tensor loss = sum(checkpoint::run([&] {
    std::vector<Tensor> both = record(op, tensors(Tensor(x)));
    held = both[0];
    return both[0] + both[1];
  }));
  const Storage* const bytes = held.impl()->storage.get();
  tape.backward(loss);
  CHECK(*op->runs == 2);
  CHECK(tape.replays() == 1);
  CHECK(held.impl()->storage.get() == bytes);
  CHECK(held.to_vector() == std::vector<double>(4, 1));
  CHECK(x.grad().to_vector() == std::vector<double>(4, 2));  // from the output that was made again
}

TEST_CASE("of a replayed node's outputs, one that nobody wants is freed at once", "[engine]") {
  struct AtBackward : Observer {
    TapeState* tape = nullptr;
    int checked = 0;
    void on(Event event, NodeId node, const Tensor*, const Tensor*) override {
      if (event != Event::backward || tape->node(node.i).op->name() != "mul") return;
      ++checked;
      CHECK_FALSE(resident(*tape, slot_of(*tape, "sincos", 0)));
      CHECK(resident(*tape, slot_of(*tape, "sincos", 1)));
    }
  } observer;
  const Tensor x = random_constant({64}, 1), w = random_leaf({64}, 2);
  Tape tape;
  observer.tape = &tape.state();
  const Tensor loss = sum(checkpoint::run([&] { return sincos(x).second * w; }));
  CHECK_FALSE(resident(tape.state(), slot_of(tape.state(), "sincos", 1)));
  tape.set_observer(&observer);
  tape.backward(loss);
  CHECK(observer.checked == 1);
  CHECK(tape.replays() == 1);
}

TEST_CASE("untracked ops in a region are interior too: dropped and replayed", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Tape tape;
  const std::size_t before = live_bytes();
  Tensor h = checkpoint::run([&] { return matmul(x, w) * relu(sine(x)); });
  CHECK(live_bytes() == before + 512);
  tape.backward(sum(std::move(h)));
  // The product saves both: sine, relu, and the matmul for nothing but the mask's gradient, which is not needed.
  CHECK(tape.replays() == 2);
}

TEST_CASE("a region of untracked ops costs nothing and is not walked", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Tape tape;
  const Tensor untracked = checkpoint::run([&] { return sine(sine(x)); });
  CHECK_FALSE(untracked.requires_grad());
  CHECK(tape.nodes() == 2);
  const Tensor loss = sum(checkpoint::run([&] { return w * w; }) * untracked);
  tape.backward(loss);
  CHECK(tape.replays() == 0);
}

TEST_CASE("never_replay: made once, kept to the end, and nothing before it asks to be replayed for it",
          "[engine]") {
  const Tensor x = random_leaf({64}, 1);
  const auto runs = std::make_shared<int>(0);
  Tape tape;
  const std::size_t before = live_bytes();
  const Tensor loss = sum(checkpoint::run([&] { return squash(twice_never_replayed(squash(x), runs)); }));
  CHECK(live_bytes() == before + x.bytes() + loss.bytes());
  CHECK(tape.state().slot(slot_of(tape.state(), "twice_never_replayed")).permanent);
  tape.backward(loss, {.retain_graph = true});
  CHECK(*runs == 1);
  CHECK(tape.replays() == 2);  // both squash, whose outputs are saved
  tape.backward(loss);
  CHECK(*runs == 1);
  CHECK(tape.replays() == 4);
}

TEST_CASE("policies: what is kept, what is asked, and what is handed down to inner regions", "[engine]") {
  const Tensor x = random_leaf({8, 8}, 1, 0.5);
  const std::size_t one = x.bytes();
  const auto inner = [&](Tensor h, const Policy& policy) {
    return checkpoint::run(policy, [&] { return squash(squash(matmul(squash(std::move(h)), x))); });
  };
  const auto chain_of = [&](const Policy& outer_policy, const Policy& inner_policy) {
    return checkpoint::run(outer_policy, [&] {
      Tensor h = x;
      for (int k = 0; k < 4; ++k) h = inner(std::move(h), inner_policy);
      return h;
    });
  };
  struct Expected {
    Policy outer, inner;
    std::size_t held;  // in units, while the outer region is closed
    std::int64_t replays;
  };
  const Policy matmuls = Policy::save_only({"matmul"});
  Bits expected;
  for (
      const auto& [outer_policy, inner_policy, held, replays] : {
          Expected{Policy::none(), Policy::none(), 4 * 3,
                   0},  // what the three squashes save, matmul's input among it
          Expected{Policy::none(), Policy::full(), 3, 4 * 4},
          // The outer policy decides while it is closed. Of an inner region, three blocks' outputs take 4 ops each,
          // and then each block's own backward 4.
          Expected{Policy::full(), Policy::full(), 0, 3 * 4 + 4 * 4},
          // Inner policies decide once the outer region is open: each matmul is made once and kept, but the last one's.
          Expected{Policy::full(), matmuls, 0, 3 * 4 + 4 * 4 - 3},
          // Kept by the outer region and handed down: no matmul is replayed. A block's output takes two squashes.
          Expected{matmuls, Policy::full(), 4, 3 * 2 + 4 * 3},
          Expected{matmuls, matmuls, 4, 3 * 2 + 4 * 3},
      }) {
    release_grads({&x, 1});
    Tape tape;
    const std::size_t before = live_bytes();
    Tensor h = chain_of(outer_policy, inner_policy);
    const Tensor loss = sum(std::move(h));
    INFO("held " << held << ", replays " << replays);
    CHECK(live_bytes() - before - loss.bytes() == held * one);
    tape.backward(loss);
    CHECK(tape.replays() == replays);
    if (replays == 0) expected = bits(x.grad());
    CHECK(bits(x.grad()) == expected);
  }
}

TEST_CASE("a custom policy sees op, bytes and flops", "[engine]") {
  const Tensor x = random_leaf({8, 8}, 1);
  std::vector<NodeInfo> seen;
  const Policy policy = Policy::custom([&](const NodeInfo& node) {
    seen.push_back(node);
    return node.flops > 100 ? Decision::keep : Decision::recompute;
  });
  Tape tape;
  const Tensor loss = sum(checkpoint::run(policy, [&] { return squash(matmul(x, reshape(x, {8, 8}))); }));
  REQUIRE(seen.size() >= 2);
  CHECK(seen[0].op == "matmul");
  CHECK(seen[0].bytes == 512);
  CHECK(seen[0].flops == 2.0 * 8 * 8 * 8);
  CHECK(seen[1].op == "squash");
  tape.backward(loss);
  CHECK(tape.replays() == 1);  // squash alone
}

TEST_CASE("two backward passes over parts of one tape, where a region is needed by both", "[engine]") {
  const Tensor a = random_leaf({8, 8}, 1, 0.5), b = random_leaf({8, 8}, 2, 0.5),
               x = random_constant({8, 8}, 3);
  const std::vector<Tensor> leaves = {a, b};
  Bits expected;
  for (const Policy& policy : {Policy::none(), Policy::full()}) {
    release_grads(leaves);
    Tape tape;
    const std::size_t before = live_bytes();
    Tensor left, right;
    {
      Tensor shared = x * 2.0;  // untracked, not saved by its own op: only the boundary keeps it
      const checkpoint::Region region(policy);
      left = squash(matmul(squash(a), shared + a));
      right = squash(matmul(squash(b), shared + b));
    }
    {
      const Tensor first = sum(std::move(left)), second = sum(std::move(right));
      tape.backward(first);
      CHECK_FALSE(b.grad().defined());
      CHECK_THROWS_AS(tape.backward(first), UserError);
      tape.backward(second);
      CHECK_THROWS_AS(tape.backward(second), UserError);
    }
    CHECK(live_bytes() == before + a.bytes() + b.bytes());  // the gradients
    if (!policy.makes_region()) expected = bits(grads(leaves));
    CHECK(bits(grads(leaves)) == expected);
    CHECK(tape.replays() ==
          (policy.makes_region() ? 8 : 0));  // the region's ops, and not what its boundary takes
  }
}

TEST_CASE("what can be evicted: what the tape alone holds and can make again", "[engine]") {
  const Tensor x = random_leaf({64}, 1), data = random_constant({64}, 2);
  Tape tape;
  TapeState& state = tape.state();
  Tensor product = squash(twice_never_replayed(x * data));
  const Tensor held = product;
  const Tensor loss = sum(std::move(product) * 3.0);
  for (Index s = 0; s < static_cast<Index>(state.slots.size()); ++s) CHECK_FALSE(state.evictable(s));
  Tensor sine_of = sine(held * 2.0);  // saves its input, which no handle holds
  const Index saved = slot_of(state, "mul_scalar", 0, 1);
  REQUIRE(state.evictable(saved));
  const std::size_t before = live_bytes();
  state.evict(saved);
  CHECK(live_bytes() == before - x.bytes());
  CHECK_FALSE(state.evictable(saved));
  tape.backward(loss + sum(std::move(sine_of)));
  CHECK(tape.replays() == 1);
}

TEST_CASE("a region within a region, with the same output; a region with a single view", "[engine]") {
  const Tensor x = random_constant({8, 8}, 1), w = random_leaf({8, 8}, 2);
  Bits expected;
  for (const Policy& policy : {Policy::none(), Policy::full()}) {
    release_grads({&w, 1});
    Tape tape;
    Tensor h = checkpoint::run(policy,
                               [&] { return checkpoint::run(policy, [&] { return squash(matmul(x, w)); }); });
    h = checkpoint::run(policy, [&] { return reshape(std::move(h), {64}); });
    tape.backward(sum(std::move(h)));
    CHECK(tape.replays() == (policy.makes_region() ? 2 : 0));
    if (!policy.makes_region()) expected = bits(w.grad());
    CHECK(bits(w.grad()) == expected);
  }
}

TEST_CASE("a replayed value that a backward is done with goes before its last result is made", "[engine]") {
  const Tensor x = random_leaf({256, 64}, 1), w = random_leaf({1, 64}, 2), c = random_constant({64}, 3);
  const Device cpu = Device::cpu();
  Tape tape;
  const Tensor loss = sum(checkpoint::run([&] { return linear(x + c, w); }));
  const std::size_t before = memory::live(cpu);
  memory::reset_peak(cpu);
  tape.backward(loss);
  CHECK(tape.replays() == 1);  // x + c: of x's size, as the gradient of x is
  CHECK(memory::peak(cpu) - before < x.bytes() * 3 / 2);
}

TEST_CASE("gelu's gradient takes over the buffer of the one that arrived, unless somebody holds it",
          "[engine]") {
  const Tensor x = random_leaf({256, 64}, 1);
  const Device cpu = Device::cpu();
  const auto gradient = [&](GradientOptions options) {
    Tape tape;
    const Tensor loss = sum(gelu(x));
    const std::size_t before = memory::live(cpu);
    memory::reset_peak(cpu);
    auto [result] = tape.gradients(loss, {x}, options);
    return std::pair(result.to_vector(), memory::peak(cpu) - before);
  };
  const auto [in_place, one] = gradient({});
  const auto [recorded, more] = gradient({.create_graph = true});
  CHECK(in_place == recorded);
  CHECK(one < x.bytes() * 3 / 2);
  CHECK(more >= 2 * x.bytes());

  const Tensor held = Tensor::ones(x.shape(), {.dtype = DType::f64});
  const Tensor result = gelu_backward(held, x);
  CHECK(held.to_vector() == std::vector<double>(static_cast<std::size_t>(x.numel()), 1.0));
  CHECK(result.to_vector() == in_place);
}
