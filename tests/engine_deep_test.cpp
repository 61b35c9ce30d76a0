// Depth is data: walks are loops, so a tape of 100,000 nodes and regions nested thousands deep need no stack.
#include <pthread.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "reprise/ops/ops.h"
#include "reprise/tests/engine_program.h"

using namespace reprise;
using namespace reprise::test;

namespace {

constexpr std::int64_t kNodes = 100000;

Tensor chain(Tensor h, std::int64_t length) {
  for (std::int64_t i = 0; i < length; ++i) h = squash(std::move(h));
  return h;
}

struct Outcome {
  std::int64_t replays = 0;
  Bits gradient;
};
Outcome step(const std::function<Tensor(Tensor)>& program) {
  const Tensor x = random_leaf({2}, 1);
  Tape tape;
  const Tensor loss = sum(program(x));
  tape.backward(loss);
  return {tape.replays(), bits(x.grad())};
}

// Regions opened one inside the other, one op in each if `comb`, else all ops in the innermost.
Tensor nest(Tensor h, int depth, bool comb) {
  std::vector<std::unique_ptr<checkpoint::Region>> regions;
  for (int i = 0; i < depth; ++i) {
    regions.push_back(std::make_unique<checkpoint::Region>());
    if (comb) h = squash(std::move(h));
  }
  if (!comb) h = chain(std::move(h), depth);
  while (!regions.empty()) {
    regions.back()->end();
    regions.pop_back();
  }
  return h;
}

// On a thread with a stack of 256 KiB.
void with_small_stack(const std::function<void()>& f) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 * 1024) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(
              &thread, &attributes,
              [](void* argument) -> void* {
                (*static_cast<const std::function<void()>*>(argument))();
                return nullptr;
              },
              const_cast<std::function<void()>*>(&f)) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("100,000 nodes: plain, in regions of sqrt(n), and in one region", "[engine]") {
  Outcome plain, square_root, one;
  with_small_stack([&] {
    plain = step([](Tensor x) { return chain(std::move(x), kNodes); });
    square_root = step([](Tensor h) {
      for (std::int64_t k = 0; k < kNodes; k += 400)
        h = checkpoint::run([&] { return chain(std::move(h), 400); });
      return h;
    });
    one = step([](Tensor x) { return checkpoint::run([&] { return chain(std::move(x), kNodes); }); });
  });
  CHECK(plain.replays == 0);
  CHECK(square_root.replays == kNodes);  // squash saves its output
  CHECK(one.replays == kNodes);
  CHECK(square_root.gradient == plain.gradient);
  CHECK(one.gradient == plain.gradient);
}

TEST_CASE("regions nested 2,000 deep, and a comb of 1,000 regions", "[engine]") {
  Outcome plain, nested, plain_comb, comb;
  with_small_stack([&] {
    plain = step([](Tensor x) { return chain(std::move(x), 2000); });
    nested = step([](Tensor x) { return nest(std::move(x), 2000, false); });
    plain_comb = step([](Tensor x) { return chain(std::move(x), 1000); });
    comb = step([](Tensor x) { return nest(std::move(x), 1000, true); });
  });
  CHECK(nested.replays == 2000);
  CHECK(nested.gradient == plain.gradient);
  // Each level keeps what it has made when the next is opened.
  CHECK(comb.replays == 1000);
  CHECK(comb.gradient == plain_comb.gradient);
}

TEST_CASE("a long chain through create_graph, and a wide fan of one value", "[engine]") {
  Bits chained, expected_chain;
  std::vector<double> fanned;
  with_small_stack([&] {
    const Tensor x = random_leaf({2}, 1);
    for (const bool regions : {false, true}) {
      Tape tape;
      Tensor h = x;
      for (int k = 0; k < 20; ++k)
        h = checkpoint::run(regions ? checkpoint::Policy::full() : checkpoint::Policy::none(),
                            [&] { return chain(std::move(h), 100); });
      const auto [g] = tape.gradients(sum(h), {x}, {.create_graph = true});
      release_grads({&x, 1});
      tape.backward(sum(g * g));
      (regions ? chained : expected_chain) = bits(x.grad());
    }
    const Tensor y = random_leaf({2}, 1);
    Tape tape;
    Tensor total = y;
    for (int k = 0; k < 20000; ++k) total = total + y;
    tape.backward(sum(total));
    fanned = y.grad().to_vector();
  });
  CHECK_FALSE(chained.empty());
  CHECK(chained == expected_chain);
  CHECK(fanned == std::vector<double>(2, 20001));
}
