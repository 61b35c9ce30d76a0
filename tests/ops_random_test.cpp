// Ops that walk shapes, on random shapes against one loop over indices: broadcasting, reductions, permutations, parts.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "reprise/core/kernel_slot.h"
#include "reprise/ops/ops.h"

using namespace reprise;

namespace {

using Index = std::vector<std::int64_t>;

struct Random {
  std::mt19937_64 engine;
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(engine);
  }
};

// Extents of 1 often, of 0 seldom.
Index random_extents(Random& random, std::int64_t rank) {
  Index extents;
  for (std::int64_t d = 0; d < rank; ++d) {
    const std::int64_t kind = random.between(0, 29);
    extents.push_back(kind == 0 ? 0 : kind < 10 ? 1 : random.between(2, 5));
  }
  return extents;
}

Tensor random_tensor(Random& random, const Index& extents) {
  const Shape shape(extents);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& value : values) value = static_cast<float>(random.between(-50, 50));  // sums are exact
  return Tensor::from(values, shape);
}

// The index of element i of a shape.
Index index_of(std::int64_t i, const Index& extents) {
  Index index(extents.size());
  for (std::size_t d = extents.size(); d-- > 0;) {
    index[d] = i % extents[d];
    i /= extents[d];
  }
  return index;
}

std::int64_t offset_of(const Index& index, const Index& extents) {
  std::int64_t offset = 0;
  for (std::size_t d = 0; d < extents.size(); ++d) offset = offset * extents[d] + index[d];
  return offset;
}

std::int64_t count_of(const Index& extents) {
  return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
}

// What broadcasting reads of an operand at this index of the result.
double broadcast_at(const std::vector<double>& values, const Index& extents, const Index& index) {
  Index own;
  for (std::size_t d = 0; d < extents.size(); ++d)
    own.push_back(extents[d] == 1 ? 0 : index[index.size() - extents.size() + d]);
  return values[static_cast<std::size_t>(offset_of(own, extents))];
}

// Runs the body 300 times with plain kernels and with fast ones.
template <class Body>
void repeat(Body body) {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  const bool before = plain_kernels();
  for (const bool plain : {true, false}) {
    set_plain_kernels(plain);
    Random random{std::mt19937_64(seed)};
    for (int round = 0; round < 300; ++round) {
      INFO((plain ? "plain" : "fast") << ", round " << round);
      body(random);
    }
  }
  set_plain_kernels(before);
}

}  // namespace

TEST_CASE("broadcasting on random shapes", "[ops]") {
  repeat([](Random& random) {
    const Index y = random_extents(random, random.between(0, 5));
    auto operand = [&] {
      Index extents(y.begin() + random.between(0, static_cast<std::int64_t>(y.size())), y.end());
      for (std::int64_t& extent : extents)
        if (random.between(0, 2) == 0) extent = 1;
      return extents;
    };
    const Index a = operand(), b = operand(), c = operand();
    const Tensor ta = random_tensor(random, a), tb = random_tensor(random, b), tc = random_tensor(random, c);
    const std::vector<double> va = ta.to_vector(), vb = tb.to_vector(), vc = tc.to_vector();
    const Tensor difference = broadcast_to(ta - tb, Shape(y));
    const Tensor chosen = broadcast_to(where(less(tc, 0), ta, tb), Shape(y));
    const std::vector<double> actual = difference.to_vector(), actual_chosen = chosen.to_vector();
    std::vector<double> expected, expected_chosen;
    for (std::int64_t i = 0; i < count_of(y); ++i) {
      const Index index = index_of(i, y);
      const double x = broadcast_at(va, a, index), z = broadcast_at(vb, b, index);
      expected.push_back(x - z);
      expected_chosen.push_back(broadcast_at(vc, c, index) < 0 ? x : z);
    }
    INFO(to_string(Shape(a)) << " " << to_string(Shape(b)) << " " << to_string(Shape(c)) << " in "
                             << to_string(Shape(y)));
    CHECK(actual == expected);
    CHECK(actual_chosen == expected_chosen);
  });
}

TEST_CASE("reductions on random shapes", "[ops]") {
  repeat([](Random& random) {
    const Index x = random_extents(random, random.between(1, 5));
    Index kept = x;
    bool empty = false;
    const Tensor t = random_tensor(random, x);
    const std::int64_t first = random.between(0, static_cast<std::int64_t>(x.size()) - 1);
    const std::int64_t second = random.between(0, static_cast<std::int64_t>(x.size()) - 1);
    const Dims dims = first == second ? Dims(first) : Dims{first, second};
    for (const std::int64_t dim : dims.values()) {
      empty |= kept[static_cast<std::size_t>(dim)] == 0;
      kept[static_cast<std::size_t>(dim)] = 1;
    }
    std::vector<double> expected(static_cast<std::size_t>(count_of(kept)), 0),
        expected_max(expected.size(), -1e9);
    const std::vector<double> values = t.to_vector();
    for (std::int64_t i = 0; i < count_of(x); ++i) {
      Index index = index_of(i, x);
      for (std::size_t d = 0; d < x.size(); ++d)
        if (kept[d] == 1) index[d] = 0;
      const auto place = static_cast<std::size_t>(offset_of(index, kept));
      expected[place] += values[static_cast<std::size_t>(i)];
      expected_max[place] = std::max(expected_max[place], values[static_cast<std::size_t>(i)]);
    }
    INFO(to_string(Shape(x)) << " over " << first << ", " << second);
    CHECK(sum(t, dims, {.keepdim = true}).shape() == Shape(kept));
    CHECK(sum(t, dims).to_vector() == expected);
    CHECK(sum_to(t, Shape(kept)).to_vector() == expected);
    if (!empty) CHECK(max(t, dims).to_vector() == expected_max);
    if (!empty) CHECK((-min(-t, dims)).to_vector() == expected_max);
  });
}

TEST_CASE("permutations and parts on random shapes", "[ops]") {
  repeat([](Random& random) {
    const Index x = random_extents(random, 4);
    const Tensor t = random_tensor(random, x);
    const std::vector<double> values = t.to_vector();
    Index order = {0, 1, 2, 3};
    std::shuffle(order.begin(), order.end(), random.engine);
    Index y;
    for (const std::int64_t d : order) y.push_back(x[static_cast<std::size_t>(d)]);
    std::vector<double> expected;
    for (std::int64_t i = 0; i < count_of(y); ++i) {
      const Index to = index_of(i, y);
      Index from(4);
      for (std::size_t d = 0; d < 4; ++d) from[static_cast<std::size_t>(order[d])] = to[d];
      expected.push_back(values[static_cast<std::size_t>(offset_of(from, x))]);
    }
    INFO(to_string(Shape(x)) << " to " << to_string(Shape(y)));
    CHECK(permute(t, {order[0], order[1], order[2], order[3]}).to_vector() == expected);

    const auto dim = static_cast<int>(random.between(-4, 3));
    const std::int64_t size = random.between(1, 3);
    INFO("parts of " << size << " along " << dim);
    const std::vector<Tensor> parts = split(t, size, dim);
    if (!parts.empty()) CHECK(cat(parts, dim).to_vector() == values);
    if (t.size(dim) == 0) return;
    const std::int64_t first = random.between(0, t.size(dim) - 1);
    const Tensor part = narrow(t, dim, first, 1);
    const Tensor zeros_around = pad(part, dim, first, t.size(dim) - first - 1);
    const Tensor rest = t - zeros_around;
    CHECK(sum(abs(narrow(rest, dim, first, 1))).item() == 0);
    CHECK(sum(zeros_around).item() == sum(part).item());
  });
}
