// Tensors as values: shapes, dtypes, factories, access, printing, state.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"

using namespace reprise;
using Catch::Contains;

namespace {

// What rounding to a binary format of `places` bits after the point, smallest normal exponent `lowest` and largest
// finite value `largest` must give, computed in f64: the quantum of the value's binade, ties to even by nearbyint.
double rounded(double value, int places, int lowest, double largest) {
  if (value == 0 || std::isnan(value) || std::isinf(value)) return value;
  const double quantum = std::ldexp(1.0, std::max(std::ilogb(value), lowest) - places);
  const double result = std::nearbyint(value / quantum) * quantum;
  return std::abs(result) > largest ? std::copysign(std::numeric_limits<double>::infinity(), value) : result;
}

float any_float(std::mt19937& random) { return std::bit_cast<float>(static_cast<std::uint32_t>(random())); }

}  // namespace

TEST_CASE("every f16 and bf16 survives the way to f32 and back", "[engine]") {
  int f16_failures = 0, bf16_failures = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    const double exact = (bits & 0x7C00)
                             ? std::ldexp(1024.0 + (bits & 0x3FF), static_cast<int>((bits >> 10) & 31) - 25)
                             : std::ldexp(static_cast<double>(bits & 0x3FF), -24);
    if ((bits & 0x7C00) != 0x7C00 && std::abs(value) != exact) ++f16_failures;
    if (std::signbit(value) != (bits >= 0x8000)) ++f16_failures;
    const bool quiet = (bits & 0x7C00) != 0x7C00 || (bits & 0x3FF) == 0 || (bits & 0x200);
    if (quiet && to_float16(value).bits != bits) ++f16_failures;
    if (!quiet && !std::isnan(to_float(to_float16(value)))) ++f16_failures;

    const BFloat16 brain{static_cast<std::uint16_t>(bits)};
    if (std::bit_cast<std::uint32_t>(to_float(brain)) != bits << 16) ++bf16_failures;
    if (std::isnan(to_float(brain)) ? !std::isnan(to_float(to_bfloat16(to_float(brain))))
                                    : to_bfloat16(to_float(brain)).bits != bits)
      ++bf16_failures;
  }
  CHECK(f16_failures == 0);
  CHECK(bf16_failures == 0);
}

TEST_CASE("f32 rounds to f16 and bf16 to nearest, ties to even, subnormals and overflow included",
          "[engine]") {
  const std::uint32_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::vector<float> values = {0.0F,
                               -0.0F,
                               65504.0F,
                               65519.99F,
                               65520.0F,
                               65536.0F,
                               0x1p-24F,
                               0x1p-25F,
                               0x1.8p-24F,
                               0x1p-26F,
                               0x1.8p-25F,
                               2049.0F,
                               2051.0F,
                               0x1p-14F,
                               0x1.ffcp-15F,
                               0x1.ffep-15F,
                               3.4e38F,
                               1e-45F,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::infinity(),
                               1.00390625F,
                               1.01171875F};
  for (int i = 0; i < 200000; ++i) values.push_back(any_float(random));
  for (int i = 0; i < 200000; ++i)  // within f16's range, half of them exactly between two of its numbers
    values.push_back(to_float(Float16{static_cast<std::uint16_t>(random() & 0x7BFF)}) *
                     (i % 2 ? 1.0F : 1.0F + 0x1p-11F));
  int failures = 0;
  for (float value : values) {
    if (std::isnan(value)) {
      failures += !std::isnan(to_float(to_float16(value))) || !std::isnan(to_float(to_bfloat16(value)));
      continue;
    }
    const double half = rounded(value, 10, -14, 65504), brain = rounded(value, 7, -126, 0x1.FEp127);
    if (to_float(to_float16(value)) != half ||
        std::signbit(to_float(to_float16(value))) != std::signbit(value)) {
      if (++failures < 5)
        UNSCOPED_INFO("f16 of " << value << " is " << to_float(to_float16(value)) << " not " << half);
    }
    if (to_float(to_bfloat16(value)) != brain) {
      if (++failures < 5)
        UNSCOPED_INFO("bf16 of " << value << " is " << to_float(to_bfloat16(value)) << " not " << brain);
    }
  }
  CHECK(failures == 0);
}

TEST_CASE("dtypes have names", "[engine]") {
  for (int i = 0; i < kDTypeCount; ++i)
    CHECK(dtype_from_string(to_string(static_cast<DType>(i))) == static_cast<DType>(i));
  CHECK(to_string(DType::boolean) == "bool");
  CHECK_THROWS_WITH(dtype_from_string("float"), Contains("f32, f64, bf16, f16, i32, i64, u8, bool"));
}

TEST_CASE("shapes check their extents", "[engine]") {
  const Shape shape = {2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.numel() == 24);
  CHECK(shape[-1] == 4);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{0, 5}.numel() == 0);
  CHECK(to_string(shape.with(-2, 7)) == "[2, 7, 4]");
  CHECK(to_string(shape.append(9)) == "[2, 3, 4, 9]");
  CHECK(to_string(shape.without(0)) == "[3, 4]");
  CHECK_FALSE(shape == Shape{2, 3});
  CHECK_THROWS_AS(shape[3], UserError);
  CHECK_THROWS_AS(shape[-4], UserError);
  CHECK_THROWS_AS((Shape{1, -2}), UserError);
  CHECK_THROWS_WITH((Shape{1, -1}), Contains("[1, -1]") && Contains("negative"));
  CHECK_THROWS_AS(shape.with(0, -1), UserError);
  CHECK_THROWS_AS(Tensor::zeros({2, -1}), UserError);
  CHECK_THROWS_AS(Tensor::from<float>({}, {-1}), UserError);
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), UserError);
  CHECK_THROWS_WITH((Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}),
                    Contains("2^48") && Contains("[1099511627776, 1099511627776]"));
  CHECK_THROWS_AS((Shape{0, std::int64_t{1} << 40, std::int64_t{1} << 40}), UserError);  // 0 does not hide it
  CHECK(normalize_dim("sum", -1, 3) == 2);
  CHECK_THROWS_WITH(normalize_dim("sum", 3, 3),
                    "sum: dimension 3 is out of range for a tensor with 3 dimensions");
}

TEST_CASE("factories fill every dtype", "[engine]") {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = static_cast<DType>(i);
    INFO(to_string(dtype));
    CHECK(Tensor::zeros({3}, {.dtype = dtype}).to_vector() == std::vector<double>{0, 0, 0});
    CHECK(Tensor::ones({2}, {.dtype = dtype}).to_vector() == std::vector<double>{1, 1});
    CHECK(Tensor::full({}, 1, {.dtype = dtype}).item() == 1);
    if (dtype != DType::boolean)
      CHECK(Tensor::arange(4, {.dtype = dtype}).to_vector() == std::vector<double>{0, 1, 2, 3});
    CHECK(Tensor::empty({5, 0}, {.dtype = dtype}).bytes() == 0);
    CHECK(Tensor::empty({5, 2}, {.dtype = dtype}).bytes() == 10 * size_of(dtype));
  }
  CHECK(Tensor::full({100000}, 2.5).to_vector() == std::vector<double>(100000, 2.5));
  CHECK_THROWS_WITH(Tensor::from<float>({1, 2, 3}, {2, 2}), Contains("3 values do not fill shape [2, 2]"));
  CHECK_THROWS_AS(Tensor::arange(-1), UserError);
}

TEST_CASE("conversion rounds, truncates and saturates", "[engine]") {
  const Tensor small = Tensor::from<double>({-1.5, 2.7, 300, 1e30}, {4}).to(DType::u8);
  CHECK(small.to_vector() == std::vector<double>{0, 2, 255, 255});
  const Tensor wide = Tensor::from<float>({-1e30F, 1e30F, std::nanf(""), -3.9F}, {4}).to(DType::i32);
  CHECK(wide.to_vector() == std::vector<double>{-2147483648.0, 2147483647.0, 0, -3});
  const Tensor longs = Tensor::from<double>({-1e30, 1e30}, {2}).to(DType::i64);
  CHECK(longs.read<std::int64_t>()[0] == std::numeric_limits<std::int64_t>::min());
  CHECK(longs.read<std::int64_t>()[1] == std::numeric_limits<std::int64_t>::max());
  CHECK(Tensor::from<double>({0, 0.25, -2}, {3}, {.dtype = DType::boolean}).to_vector() ==
        std::vector<double>{0, 1, 1});
  CHECK(Tensor::from<double>({1.00390625, 1.01171875}, {2}, {.dtype = DType::bf16}).to_vector() ==
        std::vector<double>{1.0, 1.015625});
}

TEST_CASE("elements are reached by index, all at once, or as they lie", "[engine]") {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(x.at({1, 0}) == 4);
  CHECK(x.read<float>()[5] == 6);
  CHECK_THROWS_WITH(x.at({2, 0}), "at: index 2 of dimension 0 of f32[2, 3]");
  CHECK_THROWS_AS(x.at({0}), UserError);
  CHECK_THROWS_WITH(x.item(), "item: f32[2, 3] has 6 elements, not one");
  CHECK_THROWS_WITH(x.read<double>(), "read: the tensor is f32[2, 3], not f64; convert it with to(DType)");
  CHECK_THROWS_AS(Tensor().shape(), UserError);
  CHECK_FALSE(Tensor().defined());
  CHECK(Tensor().residency() == Residency::Dropped);
  CHECK(x.residency() == Residency::Resident);
  const std::uint32_t version = x.impl()->storage->version;
  x.write<float>()[0] = 7;
  CHECK(x.at({0, 0}) == 7);
  CHECK(x.impl()->storage->version == version + 1);
  CHECK(Tensor::full({}, 2.75).item<int>() == 2);
}

TEST_CASE("only floating-point leaves take gradients, and become parameters in the meter", "[engine]") {
  const Tensor x = Tensor::zeros({64});
  CHECK(x.impl()->storage->tag == memory::Tag::activation);
  x.set_requires_grad(true);
  CHECK(x.requires_grad());
  CHECK(x.impl()->storage->tag == memory::Tag::parameter);
  CHECK_THROWS_WITH(Tensor::arange(3, {.dtype = DType::i64}).set_requires_grad(true),
                    Contains("i64[3] carries no gradient"));
  const Tensor made = Tensor::zeros({2});
  made.impl()->leaf = false;
  CHECK_THROWS_WITH(made.set_requires_grad(true), Contains("detach() it first"));
  CHECK(Tensor::zeros({2}, {.requires_grad = true}).requires_grad());

  CHECK_FALSE(x.grad().defined());
  CHECK_THROWS_WITH(x.set_grad(Tensor::zeros({63})),
                    "set_grad: the gradient of f32[64] cannot be f32[63]: it must be f32[64]");
  x.set_grad(Tensor::ones({64}));
  CHECK(x.grad().at({63}) == 1);
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a name sticks to the handle", "[engine]") {
  const Tensor x = Tensor::zeros({1});
  CHECK(x.name().empty());
  x.set_name("weight");
  const Tensor same = x;
  CHECK(same.name() == "weight");
}

TEST_CASE("state is replaced, not written", "[engine]") {
  Tensor state = Tensor::zeros({4});
  state.set_name("running_mean");
  const Tensor old = state;
  const Tensor value = Tensor::ones({4});
  SECTION("by a value that nobody else holds: its storage is taken over") {
    Tensor mine = Tensor::ones({4});
    const void* data = mine.impl()->data();
    assign_state(state, std::move(mine));
    CHECK(state.impl()->data() == data);
  }
  SECTION("by a value that someone holds: its bytes are copied") {
    assign_state(state, value);
    CHECK_FALSE(state.impl()->storage == value.impl()->storage);
  }
  CHECK(state.to_vector() == std::vector<double>{1, 1, 1, 1});
  CHECK(old.to_vector() == std::vector<double>{0, 0, 0, 0});
  CHECK(state.name() == "running_mean");
  CHECK_THROWS_WITH(assign_state(state, Tensor::ones({3})),
                    "assign_state: state f32[4] cannot become f32[3]");
}

TEST_CASE("tensors print in aligned rows, four digits, long axes elided", "[engine]") {
  CHECK(to_string(Tensor::from<float>({1, 2, 3, 4}, {2, 2})) == "f32[2, 2]\n[[1, 2],\n [3, 4]]");
  CHECK(to_string(Tensor::from<float>({1, 2.5F, -3, 4e5F}, {2, 2})) ==
        "f32[2, 2]\n[[    1,   2.5],\n [   -3, 4e+05]]");
  CHECK(to_string(Tensor::full({}, 3.14159265)) == "f32[]\n3.142");
  CHECK(to_string(Tensor::zeros({0})) == "f32[0]\n[]");
  CHECK(to_string(Tensor::from<bool>({true, false}, {2}, {.dtype = DType::boolean})) ==
        "bool[2]\n[ true, false]");
  CHECK(to_string(Tensor::zeros({2, 1, 2})) == "f32[2, 1, 2]\n[[[0, 0]],\n\n [[0, 0]]]");
  CHECK(to_string(Tensor::arange(1000, {.dtype = DType::i64})).find("...") == std::string::npos);
  CHECK(to_string(Tensor::arange(1001, {.dtype = DType::i64})) ==
        "i64[1001]\n[   0,    1,    2, ...,  998,  999, 1000]");
  CHECK(to_string(Tensor::from<std::int64_t>({(std::int64_t{1} << 60) + 1}, {1}, {.dtype = DType::i64})) ==
        "i64[1]\n[1152921504606846977]");
  CHECK(to_string(Tensor()) == "undefined");
}

TEST_CASE("devices that are not there say so", "[engine]") {
  CHECK(to_string(Device::cpu()) == "cpu");
  CHECK(to_string(Device::cuda(1)) == "cuda:1");
  CHECK_THROWS_AS(Tensor::zeros({1}, {.device = {Device::CPU, 1}}), UserError);
}
