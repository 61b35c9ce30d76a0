// The loader: order, resuming, the last batch, augmentation, and a thread that never outlives its pass.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"
#include "reprise/data/augment.h"
#include "reprise/data/epoch_order.h"
#include "reprise/data/loader.h"
#include "reprise/data/synthetic.h"

using namespace reprise;

namespace {

// Sample i is the number i; counts its calls; sample `broken` cannot be read.
struct Numbers {
  std::int64_t count = 10;
  std::int64_t broken = -1;
  mutable std::atomic<int> calls{0};
  Numbers(std::int64_t n, std::int64_t b = -1) : count(n), broken(b) {}
  std::int64_t size() const { return count; }
  data::Batch get(std::span<const std::int64_t> indices) const {
    ++calls;
    for (std::int64_t index : indices)
      if (index == broken) throw FileError("sample " + std::to_string(index) + " is broken");
    return {Tensor::from(indices, {static_cast<std::int64_t>(indices.size())}, {.dtype = DType::f32}),
            Tensor::from(indices, {static_cast<std::int64_t>(indices.size())}, {.dtype = DType::i64})};
  }
};

std::vector<std::vector<double>> batches_of(const Numbers& set, data::LoaderOptions options,
                                            std::int64_t epoch, std::int64_t first = 0) {
  const data::Loader loader(set, options);
  std::vector<std::vector<double>> batches;
  for (auto [x, y] : loader.epoch(epoch, first)) {
    CHECK(x.to_vector() == y.to_vector());
    batches.push_back(y.to_vector());
  }
  return batches;
}

std::vector<double> flat(const std::vector<std::vector<double>>& batches) {
  std::vector<double> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

int threads_of_process() {
  int count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

}  // namespace

TEST_CASE("loader: the order of an epoch is fixed by seed and epoch alone", "[data]") {
  // From the Fisher-Yates of data/epoch_order.cpp, written again in Python over Philox 4x32-10.
  using Order = std::vector<std::int64_t>;
  CHECK(data::epoch_order(10, true, 7, 0) == Order{4, 8, 5, 6, 1, 3, 9, 7, 2, 0});
  CHECK(data::epoch_order(10, true, 7, 1) == Order{2, 8, 0, 3, 6, 1, 9, 5, 4, 7});
  CHECK(data::epoch_order(10, true, 8, 0) == Order{5, 7, 8, 6, 9, 2, 4, 0, 1, 3});
  CHECK(data::epoch_order(4, false, 7, 3) == Order{0, 1, 2, 3});
  CHECK(data::epoch_order(0, true, 7, 0).empty());

  manual_seed(3);
  next_random(5);
  const RandomAddress before = random_state();
  const Numbers set(10);
  CHECK(flat(batches_of(set, {.batch_size = 3, .shuffle = true, .seed = 7}, 1)) ==
        std::vector<double>{2, 8, 0, 3, 6, 1, 9, 5, 4, 7});
  CHECK(random_state().seed == before.seed);
  CHECK(random_state().offset == before.offset);
}

TEST_CASE("loader: shuffled places are uniform", "[data]") {
  // Where sample 0 of 8 lands over 8000 epochs: chi-square with 7 degrees of freedom, 24.3 at p = 0.001; the
  // seed is fixed.
  std::vector<int> places(8);
  for (std::int64_t epoch = 0; epoch < 8000; ++epoch) {
    const auto order = data::epoch_order(8, true, 5, epoch);
    ++places[static_cast<std::size_t>(std::find(order.begin(), order.end(), 0) - order.begin())];
  }
  double chi_square = 0;
  for (int n : places) chi_square += (n - 1000.0) * (n - 1000.0) / 1000.0;
  CHECK(chi_square < 24.3);
}

TEST_CASE("loader: every sample once, and the rule of the last batch", "[data]") {
  const Numbers set(23);
  for (bool prefetch : {false, true}) {
    const auto whole =
        batches_of(set, {.batch_size = 5, .shuffle = true, .seed = 1, .prefetch = prefetch}, 2);
    CHECK(whole.size() == 5);
    CHECK(whole.back().size() == 3);
    const auto all = flat(whole);
    CHECK(std::set<double>(all.begin(), all.end()).size() == 23);
    const auto dropped = batches_of(
        set, {.batch_size = 5, .shuffle = true, .seed = 1, .drop_last = true, .prefetch = prefetch}, 2);
    CHECK(dropped == std::vector<std::vector<double>>(whole.begin(), whole.end() - 1));
    CHECK(batches_of(set, {.batch_size = 100, .drop_last = true, .prefetch = prefetch}, 0).empty());
    CHECK(batches_of(Numbers(0), {.batch_size = 4, .prefetch = prefetch}, 0).empty());
  }
  const data::Loader loader(set, {.batch_size = 5});
  CHECK(loader.batches() == 5);
}

TEST_CASE("loader: an epoch taken up in the middle goes on with the same bits", "[data]") {
  const data::Synthetic set({.shape = {8, 8, 3}, .size = 30});
  const data::LoaderOptions options{
      .batch_size = 4, .shuffle = true, .seed = 9, .augment = {.horizontal_flip = true, .crop_padding = 2}};
  const data::Loader loader(set, options);
  std::vector<std::vector<double>> whole;
  for (auto [x, y] : loader.epoch(3)) whole.push_back(x.to_vector());
  REQUIRE(whole.size() == 8);
  for (std::int64_t first : {0, 1, 5, 7, 8}) {
    auto place = whole.begin() + first;
    for (auto [x, y] : loader.epoch(3, first)) CHECK(x.to_vector() == *place++);
    CHECK(place == whole.end());
  }
  // A sample's augmentation does not depend on the batch it falls into.
  const data::Loader large(set, {.batch_size = 30, .shuffle = true, .seed = 9, .augment = options.augment});
  CHECK((*large.epoch(3).begin()).inputs.to_vector() == flat(whole));
  CHECK_THROWS_WITH(loader.epoch(0, 9), "Loader: epoch begins at batch 9; it has 8");
  CHECK_THROWS_WITH(loader.epoch(-1), "Loader: epoch -1; at least 0");
  CHECK_THROWS_WITH(data::Loader(set, {.batch_size = 0}), "Loader: batch_size 0; at least 1");
}

TEST_CASE("loader: what the dataset throws reaches the consumer, after the batches before it",
          "[data][threads]") {
  const Numbers set(10, 6);
  for (bool prefetch : {false, true}) {
    const data::Loader loader(set, {.batch_size = 2, .prefetch = prefetch});
    int seen = 0;
    const auto walk = [&] {
      for (auto [x, y] : loader.epoch(0)) ++seen;
    };
    CHECK_THROWS_WITH(walk(), "sample 6 is broken");
    CHECK(seen == 3);
  }
}

TEST_CASE("loader: one batch ahead, no more, under the tag data", "[data][threads]") {
  const Numbers set(100);
  const data::Loader loader(set, {.batch_size = 10});
  const std::size_t batch_bytes = 10 * (4 + 8);
  const auto held = [] { return memory::by_tag(Device::cpu())["data"]; };
  const std::size_t before = held();
  {
    const auto epoch = loader.epoch(0);
    auto it = epoch.begin();
    for (int i = 0; i < 2000 && set.calls < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK(set.calls == 2);
    CHECK(held() - before == 2 * batch_bytes);
    ++it;
    CHECK((*it).targets.at({0}) == 10);
  }
  CHECK(held() == before);
}

TEST_CASE("loader: a pass given up in the middle leaves no thread", "[data][threads]") {
  const Numbers set(1000);
  const data::Loader loader(set, {.batch_size = 1, .shuffle = true});
  // Threads of parallel_for may come with the first pass.
  for (auto [x, y] : loader.epoch(0)) break;
  const int before = threads_of_process();
  for (int pass = 0; pass < 100; ++pass)
    for (auto [x, y] : loader.epoch(pass))
      if (y.at({0}) > 500) break;
  CHECK(threads_of_process() == before);
}

TEST_CASE("loader: threads on different passes do not meet", "[data][threads]") {
  const Numbers set(64);
  const data::Loader loader(set, {.batch_size = 4, .shuffle = true, .seed = 2});
  std::vector<std::vector<double>> seen(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < seen.size(); ++t)
    threads.emplace_back([&, t] {
      for (auto [x, y] : loader.epoch(0))
        for (double value : y.to_vector()) seen[t].push_back(value);
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& other : seen) CHECK(other == seen[0]);
  CHECK(seen[0].size() == 64);
}

TEST_CASE("augment: flip and crop are what they say", "[data]") {
  const std::int64_t n = 64, h = 5, w = 6, c = 2;
  const Tensor images = Tensor::arange(n * h * w * c).reshape({n, h, w, c});
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < n; ++i) indices.push_back(1000 + i);

  const Tensor flipped = data::augment(images, indices, 4, 1, {.horizontal_flip = true});
  int flips = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const bool flip = flipped.at({i, 0, 0, 0}) != images.at({i, 0, 0, 0});
    flips += flip;
    for (std::int64_t y = 0; y < h; ++y)
      for (std::int64_t x = 0; x < w; ++x)
        for (std::int64_t k = 0; k < c; ++k)
          REQUIRE(flipped.at({i, y, x, k}) == images.at({i, y, flip ? w - 1 - x : x, k}));
  }
  CHECK(flips > n / 4);
  CHECK(flips < 3 * n / 4);

  // Every sample is its image moved by at most the padding, and all places are met.
  const Tensor cropped = data::augment(images, indices, 4, 1, {.crop_padding = 1, .fill = -5});
  std::set<std::pair<std::int64_t, std::int64_t>> places;
  for (std::int64_t i = 0; i < n; ++i) {
    int matches = 0;
    for (std::int64_t down = -1; down <= 1; ++down)
      for (std::int64_t right = -1; right <= 1; ++right) {
        bool same = true;
        for (std::int64_t y = 0; y < h; ++y)
          for (std::int64_t x = 0; x < w; ++x) {
            const bool inside = y + down >= 0 && y + down < h && x + right >= 0 && x + right < w;
            same = same && cropped.at({i, y, x, 1}) == (inside ? images.at({i, y + down, x + right, 1}) : -5);
          }
        if (!same) continue;
        ++matches;
        places.insert({down, right});
      }
    REQUIRE(matches == 1);
  }
  CHECK(places.size() == 9);
  CHECK_THROWS_WITH(data::augment(images.reshape({n, h * w * c}), indices, 0, 0, {}),
                    "augment: f32[64, 60]; f32 images [n, h, w, c] are needed");
}

TEST_CASE("synthetic: a pure function of seed and index", "[data]") {
  const data::Synthetic set({.shape = {5, 5, 1}, .classes = 3, .size = 400, .seed = 6});
  const std::vector<std::int64_t> some = {7, 0, 7, 399}, seven = {7};
  const data::Batch batch = set.get(some);
  CHECK(batch.inputs.shape() == Shape{4, 5, 5, 1});
  CHECK(batch.inputs.slice(0, 1).to_vector() == set.get(seven).inputs.to_vector());
  CHECK(batch.inputs.slice(0, 1).to_vector() == batch.inputs.slice(2, 3).to_vector());
  CHECK(batch.inputs.slice(0, 1).to_vector() != batch.inputs.slice(1, 2).to_vector());
  const auto first_with = [&](data::SyntheticOptions options) {
    return data::Synthetic(options).get(seven).inputs.to_vector();
  };
  const data::SyntheticOptions options{.shape = {5, 5, 1}, .classes = 3, .size = 400, .seed = 6};
  auto other = options;
  other.seed = 5;
  CHECK(first_with(options) == set.get(seven).inputs.to_vector());
  CHECK(first_with(options) != first_with(other));
  other = options;
  other.split = data::Split::test;
  CHECK(first_with(options) != first_with(other));

  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < 400; ++i) all.push_back(i);
  std::vector<int> per_class(3);
  double sum = 0, squares = 0;
  const data::Batch whole = set.get(all);
  for (std::int64_t target : whole.targets.read<std::int64_t>())
    ++per_class.at(static_cast<std::size_t>(target));
  for (int count : per_class) CHECK(count > 100);
  for (double x : whole.inputs.to_vector()) {
    sum += x;
    squares += x * x;
  }
  CHECK(sum / 10000 == Approx(0).margin(0.2));
  CHECK(squares / 10000 == Approx(1.25).margin(0.25));
  CHECK_THROWS_WITH(data::Synthetic({.classes = 0}), "Synthetic: 0 classes; at least 1");
  const std::vector<std::int64_t> outside = {400};
  CHECK_THROWS_WITH(set.get(outside), "Synthetic: sample 400 asked for; there are 400");
}
