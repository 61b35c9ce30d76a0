// Numbers on their way into tensors and out: integers keep their digits, and a number that a dtype cannot hold is refused. A size
// that cannot exist is an error that names the shape.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "reprise/core/dry_run.h"
#include "reprise/core/tensor.h"
#include "reprise/ops/ops.h"

using namespace reprise;
using Catch::Contains;

namespace {

constexpr std::int64_t kBeyondDouble = (std::int64_t{1} << 53) + 1;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

template <class T>
DType dtype_from(std::vector<T> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).dtype();
}

}  // namespace

TEST_CASE("Tensor::from keeps the dtype of its data and widens integers that have none", "[engine]") {
  CHECK(dtype_from<float>({1}) == DType::f32);
  CHECK(dtype_from<double>({1}) == DType::f64);
  CHECK(dtype_from<bool>({true}) == DType::boolean);
  CHECK(dtype_from<unsigned char>({255}) == DType::u8);
  CHECK(dtype_from<signed char>({-128}) == DType::i32);
  CHECK(dtype_from<short>({-32768}) == DType::i32);
  CHECK(dtype_from<unsigned short>({65535}) == DType::i32);
  CHECK(dtype_from<int>({1}) == DType::i32);
  CHECK(dtype_from<unsigned>({4294967295U}) == DType::i64);
  CHECK(dtype_from<long>({1}) == DType::i64);
  CHECK(dtype_from<long long>({1}) == DType::i64);
  CHECK(dtype_from<std::size_t>({1}) == DType::i64);
  CHECK(dtype_from<unsigned long long>({1}) == DType::i64);
  CHECK(Tensor::from({1, 2}, {2}).dtype() == DType::i32);
  CHECK(Tensor::from<bool>({true, false}, {2}).to_vector() == std::vector<double>{1, 0});
  CHECK(Tensor::from(std::vector<bool>{true, false, true}, {3}).to_vector() == std::vector<double>{1, 0, 1});
  CHECK(Tensor::from(std::vector<std::int64_t>{16777217}, {1}).item() == 16777217);
  CHECK(Tensor::from(std::vector<unsigned>{4294967295U}, {1}).item() == 4294967295.0);
  CHECK(Tensor::from(std::vector<signed char>{-128}, {1}).item() == -128);
  CHECK(Tensor::from(std::vector<std::int64_t>{3}, {1}, {.dtype = DType::f32}).dtype() == DType::f32);
}

TEST_CASE("Tensor::from refuses what an integer dtype cannot hold", "[engine]") {
  CHECK_THROWS_WITH(Tensor::from(std::vector<std::uint64_t>{1, std::uint64_t{1} << 63}, {2}),
                    Contains("9223372036854775808") && Contains("place 1") && Contains("i64"));
  CHECK_THROWS_WITH(Tensor::from<int>({0, 256}, {2}, {.dtype = DType::u8}),
                    Contains("256") && Contains("place 1") && Contains("u8"));
  CHECK_THROWS_AS(Tensor::from<int>({-1}, {1}, {.dtype = DType::u8}), UserError);
  CHECK_THROWS_AS(Tensor::from<std::int64_t>({std::int64_t{1} << 31}, {1}, {.dtype = DType::i32}), UserError);
  CHECK_THROWS_AS(Tensor::from<float>({NAN}, {1}, {.dtype = DType::i64}), UserError);
  CHECK_THROWS_AS(Tensor::from<float>({INFINITY}, {1}, {.dtype = DType::i32}), UserError);
  CHECK_THROWS_AS(Tensor::from<double>({0x1p63}, {1}, {.dtype = DType::i64}), UserError);
  CHECK(Tensor::from<double>({-0x1p63}, {1}, {.dtype = DType::i64}).item<std::int64_t>() == kLeast);
  CHECK(Tensor::from<double>({-0.5, 255.5}, {2}, {.dtype = DType::u8}).to_vector() ==
        std::vector<double>{0, 255});
  CHECK(Tensor::from<double>({0, 0.5}, {2}, {.dtype = DType::boolean}).to_vector() ==
        std::vector<double>{0, 1});
}

TEST_CASE("full and arange refuse what an integer dtype cannot hold, and keep every digit of an integer",
          "[engine]") {
  CHECK(Tensor::full({}, kBeyondDouble, {.dtype = DType::i64}).item<std::int64_t>() == kBeyondDouble);
  CHECK(Tensor::full({}, kMost, {.dtype = DType::i64}).item<std::int64_t>() == kMost);
  for (const double value : {2.5, 0x1p63, double(NAN), double(INFINITY)})
    CHECK_THROWS_WITH(Tensor::full({1}, value, {.dtype = DType::i64}), Contains("full") && Contains("i64"));
  CHECK_THROWS_AS(Tensor::full({1}, 256, {.dtype = DType::u8}), UserError);
  CHECK_THROWS_AS(Tensor::full({1}, -1, {.dtype = DType::u8}), UserError);
  CHECK(Tensor::full({1}, 0.5, {.dtype = DType::boolean}).item<bool>());
  CHECK(Tensor::arange(256, {.dtype = DType::u8}).at({255}) == 255);
  CHECK_THROWS_WITH(Tensor::arange(257, {.dtype = DType::u8}), Contains("arange") && Contains("u8"));
}

TEST_CASE("item of an integer type is exact or refused", "[engine]") {
  const auto i64 = [](std::int64_t value) { return Tensor::from<std::int64_t>({value}, {1}); };
  for (const std::int64_t value : {kBeyondDouble, kMost, kLeast, std::int64_t{-1}}) {
    CHECK(i64(value).item<std::int64_t>() == value);
    CHECK(i64(value).item<long long>() == value);
  }
  CHECK(i64(7).item<int>() == 7);
  CHECK(i64(7).item<std::size_t>() == 7);
  CHECK(i64(2).item<bool>());
  CHECK_THROWS_WITH(i64(kMost).item<int>(), Contains("item") && Contains("9223372036854775807"));
  CHECK_THROWS_AS(i64(-1).item<std::size_t>(), UserError);
  CHECK(Tensor::full({}, -2.75).item<int>() == -2);
  CHECK_THROWS_AS(Tensor::full({}, NAN).item<int>(), UserError);
  CHECK_THROWS_AS(Tensor::full({}, 1e30).item<std::int64_t>(), UserError);
  CHECK_THROWS_AS(Tensor::zeros({2}).item<int>(), UserError);
}

TEST_CASE("numbers beside integer tensors keep their value or are refused", "[ops]") {
  const Tensor i32 = Tensor::from<int>({1}, {1}), i64 = Tensor::from<std::int64_t>({1}, {1});
  for (const double value : {3e9, -3e9, 1e300, double(NAN), double(INFINITY), 0.5}) {
    INFO(value);
    CHECK_THROWS_AS(i32 + value, UserError);
    CHECK_THROWS_AS(i32 - value, UserError);
    CHECK_THROWS_AS(value - i32, UserError);
    CHECK_THROWS_AS(i32 * value, UserError);
  }
  CHECK((i64 + 3e9).item<std::int64_t>() == 3000000001);
  CHECK((i64 + 0x1p53).item<std::int64_t>() == kBeyondDouble);
  CHECK_THROWS_WITH(i64 + kBeyondDouble, Contains("9007199254740993") && Contains("digits"));
  CHECK_THROWS_WITH(i32 + 3000000000, Contains("3000000000") && Contains("i32"));
  CHECK((i32 - 2147483647).item() == -2147483646);
}

TEST_CASE("integers compare with fractions and out-of-range numbers as numbers do", "[ops]") {
  const std::vector<std::int64_t> whole = {0, 1, 2, 255};
  const std::vector<double> numbers = {-1e300, -1,      -0.5,  0,        0.5,       1,   1.5,
                                       2,      2.7,     254.5, 255,      255.5,     300, 0x1p31,
                                       0x1p63, -0x1p63, 1e300, INFINITY, -INFINITY, NAN};
  for (const DType dtype : {DType::i32, DType::i64, DType::u8, DType::boolean})
    for (const double number : numbers) {
      const Tensor x = Tensor::from(whole, {4}, {.dtype = dtype});
      INFO(to_string(dtype) << " and " << number);
      const std::vector<double> values = x.to_vector();
      const auto answers = [&](auto compare) {
        std::vector<double> result;
        for (const double value : values) result.push_back(compare(value, number) ? 1 : 0);
        return result;
      };
      CHECK(equal(x, number).to_vector() == answers(std::equal_to()));
      CHECK(not_equal(x, number).to_vector() == answers(std::not_equal_to()));
      CHECK(less(x, number).to_vector() == answers(std::less()));
      CHECK(less_equal(x, number).to_vector() == answers(std::less_equal()));
      CHECK(greater(x, number).to_vector() == answers(std::greater()));
      CHECK(greater_equal(x, number).to_vector() == answers(std::greater_equal()));
    }
  const Tensor large = Tensor::from<std::int64_t>({kBeyondDouble}, {1});
  CHECK(equal(large, kBeyondDouble).item<bool>());
  CHECK_FALSE(equal(large, kBeyondDouble - 1).item<bool>());
  CHECK(less(large, std::uint64_t{1} << 63).item<bool>());
}

TEST_CASE("a size that cannot exist is an error that names the shape, in real and in dry runs", "[engine]") {
  const std::int64_t half = std::int64_t{1} << 24;
  const auto check = [&] {
    CHECK_THROWS_WITH(Tensor::empty({kMost}), Contains("[9223372036854775807]"));
    CHECK_THROWS_WITH(Tensor::zeros({std::int64_t{1} << 62}), Contains("[4611686018427387904]"));
    CHECK_THROWS_WITH(Tensor::randn({std::int64_t{1} << 32, std::int64_t{1} << 32}),
                      Contains("[4294967296, 4294967296]"));
    CHECK_THROWS_AS(Tensor::ones({0, kMost}), UserError);
    CHECK_THROWS_AS(Tensor::arange(std::int64_t{1} << 61), UserError);
  };
  check();
  const DryRun dry;
  check();
  const Tensor column = Tensor::empty({2 * half, 1}), row = Tensor::empty({1, 2 * half});
  CHECK_THROWS_WITH(column + row, Contains("[33554432, 33554432]"));
  CHECK_THROWS_WITH(matmul(column, row), Contains("[33554432, 33554432]"));
  CHECK_THROWS_WITH(broadcast_to(Tensor::empty({1}), {std::int64_t{1} << 50}),
                    Contains("[1125899906842624]"));
  CHECK_THROWS_AS(pad(Tensor::empty({1}), 0, 0, kMost), UserError);
}

TEST_CASE("no op but reshape takes an extent below 0", "[ops]") {
  const Tensor x = Tensor::ones({2, 3}), ids = Tensor::from<std::int64_t>({0, 1}, {2});
  CHECK_THROWS_WITH(broadcast_to(Tensor::ones({1}), {-1}), Contains("[-1]") && Contains("negative"));
  CHECK_THROWS_AS(sum_to(x, {-1}), UserError);
  CHECK_THROWS_AS(Tensor::empty({-1}), UserError);
  CHECK_THROWS_AS(narrow(x, 0, 0, -1), UserError);
  CHECK_THROWS_AS(pad(x, 0, -1, 0), UserError);
  CHECK_THROWS_AS(scatter_add(Tensor::ones({1, 3}), 0, Tensor::zeros({1, 3}, {.dtype = DType::i64}), {-1, 3}),
                  UserError);
  CHECK_THROWS_AS(embedding_backward(x, ids, -1), UserError);
  CHECK(reshape(x, {3, -1}).shape() == Shape{3, 2});
  CHECK(x.reshape({-1}).shape() == Shape{6});
  CHECK(reshape(Tensor::ones({0, 3}), {-1, 3}).shape() == Shape{0, 3});
  CHECK_THROWS_WITH(reshape(x, {-1, -1}), Contains("[-1, -1]") && Contains("more than one"));
  CHECK_THROWS_AS(reshape(x, {-1, 0}), UserError);
  CHECK_THROWS_AS(reshape(x, {-2, 3}), UserError);
  CHECK_THROWS_WITH(reshape(x, {-1, 4}), Contains("[2, 3]") && Contains("[-1, 4]"));
}

TEST_CASE("a tensor that was moved from is named as such", "[engine]") {
  Tensor x = Tensor::ones({2});
  const Tensor taken = std::move(x);
  CHECK_THROWS_WITH(relu(x), Contains("input 0 is undefined") && Contains("moved from"));
  CHECK_THROWS_WITH(x.shape(), Contains("moved from"));
}
