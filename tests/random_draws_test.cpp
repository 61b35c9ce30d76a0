// Who draws random numbers from which generator: threads, failed draws, datasets.
#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "reprise/autograd/tape.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/data/loader.h"
#include "reprise/data/synthetic.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using Catch::Matchers::Contains;

namespace {

bool same(RandomAddress a, RandomAddress b) { return a.seed == b.seed && a.offset == b.offset; }

// The text that the call throws on a new thread; empty: nothing.
template <class F>
std::string error_on_new_thread(F&& call) {
  std::string message;
  std::thread thread([&] {
    try {
      call();
    } catch (const UserError& error) {
      message = error.what();
    }
  });
  thread.join();
  return message;
}

// Draws its samples; counts calls so that one can fail.
struct Noise {
  std::int64_t samples = 10;
  std::int64_t broken = -1;
  std::int64_t size() const { return samples; }
  data::Batch get(std::span<const std::int64_t> indices) const {
    Tensor x = Tensor::randn({std::ssize(indices), 2});
    if (indices.front() == broken) throw UserError("broken");
    return {dropout(std::move(x), 0.5), Tensor::rand({std::ssize(indices)})};
  }
};

std::vector<double> drawn(const Noise& noise, data::LoaderOptions options, std::int64_t epoch,
                          std::int64_t first = 0) {
  const data::Loader loader(noise, options);
  std::vector<double> all;
  for (auto [x, y] : loader.epoch(epoch, first))
    for (const Tensor& part : {x, y})
      for (const double value : part.to_vector()) all.push_back(value);
  return all;
}

}  // namespace

TEST_CASE("a thread without a seed cannot draw, and says so", "[data][threads]") {
  CHECK_THAT(error_on_new_thread([] { Tensor::randn({2}); }), Contains("manual_seed"));
  CHECK_THAT(error_on_new_thread([] { Tensor::rand({2}); }), Contains("manual_seed"));
  CHECK_THAT(error_on_new_thread([] { dropout(Tensor::ones({2}), 0.5); }), Contains("manual_seed"));
  CHECK_THAT(error_on_new_thread([] {
               const DryRun dry_run;
               Tensor::randn({2});
             }),
             Contains("manual_seed"));
  // A saved and restored state of no seed is still no seed.
  CHECK_THAT(error_on_new_thread([] {
               set_random_state(random_state());
               Tensor::randn({2});
             }),
             Contains("manual_seed"));
  CHECK(error_on_new_thread([] { Tensor::zeros({2}); }).empty());
  std::vector<double> there;
  CHECK(error_on_new_thread([&] {
          manual_seed(9);
          there = Tensor::randn({4}).to_vector();
        }).empty());
  manual_seed(9);
  CHECK(Tensor::randn({4}).to_vector() == there);
}

TEST_CASE("a draw that fails does not move the generator", "[failure]") {
  manual_seed(3);
  const Tensor x = Tensor::randn({64, 64});
  const Tensor q = Tensor::randn({1, 64, 4, 16});
  const RandomAddress before = random_state();
  const auto out_of_memory = [&](auto&& call) {
    memory::set_limit(Device::cpu(), memory::live(Device::cpu()) + 16);
    CHECK_THROWS_AS(call(), OutOfMemory);
    memory::set_limit(Device::cpu(), std::numeric_limits<std::size_t>::max());
    CHECK(same(random_state(), before));
  };
  out_of_memory([] { Tensor::randn({1 << 20}); });
  out_of_memory([] { Tensor::rand({1 << 20}); });
  out_of_memory([&] { dropout(x, 0.5); });
  out_of_memory([&] { attention(q, q, q, {.dropout = 0.5}); });
  CHECK_THROWS_AS(Tensor::randn({2}, {.dtype = DType::i64}), UserError);
  CHECK_THROWS_AS(dropout(x, 2.0), UserError);
  CHECK_THROWS_AS(attention(q, q, x, {.dropout = 0.5}), UserError);
  CHECK(same(random_state(), before));
}

TEST_CASE("a stream that ends is an error, not a second beginning", "[data]") {
  const RandomAddress near_the_end{5, std::numeric_limits<std::uint64_t>::max() - 11};
  const RandomScope scope(near_the_end);
  CHECK_THROWS_WITH(Tensor::rand({16}), Contains("seed 5") && Contains("manual_seed"));
  CHECK_THROWS_AS(next_random(std::numeric_limits<std::uint64_t>::max()), UserError);
  CHECK(same(random_state(), near_the_end));
  CHECK(next_random(4).offset == near_the_end.offset);
}

TEST_CASE("loader: what a dataset draws is a function of seed, epoch and batch", "[data][threads]") {
  const Noise noise;
  const data::LoaderOptions plain{.batch_size = 4, .seed = 1, .prefetch = false};
  data::LoaderOptions ahead = plain;
  ahead.prefetch = true;
  const std::vector<double> first = drawn(noise, plain, 0);
  CHECK(drawn(noise, ahead, 0) == first);
  // Neither the thread's generator nor a pass before changes the numbers.
  manual_seed(77);
  Tensor::randn({5});
  CHECK(drawn(noise, plain, 0) == first);
  CHECK(drawn(noise, ahead, 0) == first);
  CHECK(drawn(noise, plain, 1) != first);
  data::LoaderOptions other = plain;
  other.seed = 2;
  CHECK(drawn(noise, other, 0) != first);
  // An epoch taken up at batch 1 goes on with the same numbers, and no two batches share theirs.
  const std::vector<double> rest(first.begin() + 4 * 3, first.end());
  CHECK(drawn(noise, plain, 0, 1) == rest);
  CHECK(drawn(noise, ahead, 0, 1) == rest);
  CHECK(std::vector<double>(first.begin(), first.begin() + 8) !=
        std::vector<double>(first.begin() + 12, first.begin() + 20));
}

TEST_CASE("loader: the thread's generator stays where it is, also when get throws", "[data]") {
  manual_seed(4);
  Tensor::randn({3});
  const RandomAddress before = random_state();
  for (const bool prefetch : {false, true}) {
    drawn({}, {.batch_size = 3, .prefetch = prefetch}, 2);
    CHECK(same(random_state(), before));
    CHECK_THROWS_WITH(drawn({.broken = 6}, {.batch_size = 3, .prefetch = prefetch}, 0), "broken");
    CHECK(same(random_state(), before));
  }
}

TEST_CASE("loader: any batch size from 1 on, up to the largest number", "[data]") {
  const data::Synthetic set({.shape = {2}, .size = 5});
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t size : {kLargest, kLargest - 1, kLargest - 4, std::int64_t{6}, std::int64_t{5}})
    for (const bool prefetch : {false, true}) {
      const data::Loader loader(set, {.batch_size = size, .prefetch = prefetch});
      CHECK(loader.batches() == 1);
      int batches = 0;
      for (auto [x, y] : loader.epoch(0)) {
        CHECK(x.size(0) == 5);
        ++batches;
      }
      CHECK(batches == 1);
      const data::Loader dropping(set, {.batch_size = size, .drop_last = true});
      CHECK(dropping.batches() == (size == 5 ? 1 : 0));
    }
}

TEST_CASE("loader: a dataset of a size that cannot be is a UserError", "[data]") {
  for (const std::int64_t size : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()}) {
    const Noise noise{.samples = size};
    const data::Loader loader(noise, {.batch_size = 3});
    CHECK_THROWS_WITH(*loader.epoch(0).begin(), Contains(std::to_string(size)));
  }
}
