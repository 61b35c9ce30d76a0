// Tensors made from nothing, from numbers and from the random generator.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>

#include "reprise/core/dry_run.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/core/tensor.h"

namespace reprise {

namespace {

constexpr std::int64_t kGrain = 1 << 13;

DType dtype_in(const TensorOptions& options) { return options.dtype.value_or(DType::f32); }

// Makes the tensor and lets `write(host bytes)` fill it: in place on the CPU, else in host memory that is copied over.
// In a dry run only the bytes are counted.
template <class Write>
Tensor make(const Shape& shape, const TensorOptions& options, Write&& write) {
  Tensor result = empty({shape, dtype_in(options), options.device});
  if (!is_dry_run() && result.bytes() > 0) {
    if (options.device.kind == Device::CPU) {
      write(result.impl()->data());
    } else {
      std::vector<std::byte> host(result.bytes());
      write(host.data());
      services(options.device).copy(result.impl()->data(), host.data(), host.size());
    }
  }
  if (options.requires_grad) result.set_requires_grad(true);
  return result;
}

void require_fitting(const char* call, const Scalar& value, DType dtype) {
  if (!value.fits(dtype))
    throw UserError(fmt::format("{}: {} cannot hold {}: take a whole number in its range, or another dtype",
                                call, to_string(dtype), to_string(value)));
}

void fill(std::byte* data, DType dtype, std::int64_t count, const Scalar& value) {
  std::array<std::byte, 8> one = {};
  const double number = value.to_double();
  const std::optional<std::int64_t> whole = value.whole();
  if (whole && !is_floating(dtype))
    convert(&*whole, DType::i64, one.data(), dtype, 1);
  else
    convert(&number, DType::f64, one.data(), dtype, 1);
  const std::size_t size = size_of(dtype);
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(data + static_cast<std::size_t>(i) * size, one.data(), size);
  });
}

// Calls write_pair(i, count) for i = 0, 2, 4, ..., count being 2 or at the end 1: Box-Muller makes normals in pairs.
template <class WritePair>
void for_pairs(std::int64_t count, WritePair&& write_pair) {
  parallel_for((count + 1) / 2, kGrain / 2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pair = begin; pair < end; ++pair)
      write_pair(2 * pair, std::min<std::int64_t>(2, count - 2 * pair));
  });
}

// Box and Muller, "A note on the generation of random normal deviates" (1958): two uniforms, u in (0, 1], make two
// independent normals.
template <class T>
std::array<T, 2> box_muller(T u, T v) {
  const T radius = std::sqrt(T{-2} * std::log(u));
  const T angle = T{2} * std::numbers::pi_v<T> * v;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// The words of elements 2k and 2k + 1: two in f32, four in f64.
std::array<float, 2> normal_pair_f32(RandomAddress address, std::int64_t i) {
  const std::uint64_t first = address.offset + static_cast<std::uint64_t>(i);
  const std::array<std::uint32_t, 4> block = philox(address.seed, first / 4);
  const std::uint32_t a = block[first % 4], b = block[first % 4 + 1];
  return box_muller(static_cast<float>(a) * 0x1p-32F + 0x1p-33F, static_cast<float>(b) * 0x1p-32F);
}

double uniform_from_words(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((static_cast<std::uint64_t>(high) << 32) | low) >> 11) * 0x1p-53;
}

std::array<double, 2> normal_pair_f64(RandomAddress address, std::int64_t i) {
  const std::array<std::uint32_t, 4> block =
      philox(address.seed, address.offset / 4 + static_cast<std::uint64_t>(i) / 2);
  return box_muller(uniform_from_words(block[0], block[1]) + 0x1p-54, uniform_from_words(block[2], block[3]));
}

// In [0, 1) for every dtype: as many random bits as it has places, so that none rounds up to 1.
void write_uniform(std::byte* data, DType dtype, std::int64_t i, RandomAddress address) {
  const std::uint64_t index = static_cast<std::uint64_t>(i);
  if (dtype == DType::f64) {
    const std::array<std::uint32_t, 4> block = philox(address.seed, address.offset / 4 + index / 2);
    const std::size_t first = 2 * (index % 2);
    reinterpret_cast<double*>(data)[i] = uniform_from_words(block[first], block[first + 1]);
    return;
  }
  const std::uint32_t word = random_word(address.seed, address.offset + index);
  if (dtype == DType::f32) reinterpret_cast<float*>(data)[i] = uniform_from_word(word);
  if (dtype == DType::bf16)
    reinterpret_cast<BFloat16*>(data)[i] = to_bfloat16(static_cast<float>(word >> 24) * 0x1p-8F);
  if (dtype == DType::f16)
    reinterpret_cast<Float16*>(data)[i] = to_float16(static_cast<float>(word >> 21) * 0x1p-11F);
}

void check_floating(const char* call, DType dtype) {
  if (!is_floating(dtype))
    throw UserError(fmt::format("{}: {} is not a floating-point dtype", call, to_string(dtype)));
}

std::uint64_t words(const Shape& shape, DType dtype) {
  const std::uint64_t pairs = (static_cast<std::uint64_t>(shape.numel()) + 1) / 2;
  return pairs * (dtype == DType::f64 ? 4 : 2);
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, TensorOptions options) {
  return make(shape, options, [](std::byte*) {});
}

Tensor Tensor::zeros(const Shape& shape, TensorOptions options) { return full(shape, 0, options); }

Tensor Tensor::ones(const Shape& shape, TensorOptions options) { return full(shape, 1, options); }

Tensor Tensor::full(const Shape& shape, Scalar value, TensorOptions options) {
  const DType dtype = dtype_in(options);
  require_fitting("full", value, dtype);
  return make(shape, options, [&](std::byte* data) { fill(data, dtype, shape.numel(), value); });
}

Tensor Tensor::arange(std::int64_t n, TensorOptions options) {
  const DType dtype = dtype_in(options);
  if (n > 0) require_fitting("arange", n - 1, dtype);
  return make({n}, options, [&](std::byte* data) {
    const std::size_t size = size_of(dtype);
    for (std::int64_t i = 0; i < n; ++i)
      convert(&i, DType::i64, data + static_cast<std::size_t>(i) * size, dtype, 1);
  });
}

Tensor Tensor::randn(const Shape& shape, TensorOptions options) {
  const DType dtype = dtype_in(options);
  check_floating("randn", dtype);
  RandomDraw draw(words(shape, dtype));
  const RandomAddress address = draw.address();
  const std::int64_t count = shape.numel();
  Tensor result = make(shape, options, [&](std::byte* data) {
    if (dtype == DType::f64) {
      for_pairs(count, [&](std::int64_t i, std::int64_t n) {
        const std::array<double, 2> pair = normal_pair_f64(address, i);
        std::memcpy(data + 8 * i, pair.data(), static_cast<std::size_t>(8 * n));
      });
    } else {
      for_pairs(count, [&](std::int64_t i, std::int64_t n) {
        const std::array<float, 2> pair = normal_pair_f32(address, i);
        convert(pair.data(), DType::f32, data + static_cast<std::size_t>(i) * size_of(dtype), dtype, n);
      });
    }
  });
  draw.keep();
  return result;
}

Tensor Tensor::rand(const Shape& shape, TensorOptions options) {
  const DType dtype = dtype_in(options);
  check_floating("rand", dtype);
  RandomDraw draw(words(shape, dtype));
  const RandomAddress address = draw.address();
  Tensor result = make(shape, options, [&](std::byte* data) {
    parallel_for(shape.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) write_uniform(data, dtype, i, address);
    });
  });
  draw.keep();
  return result;
}

namespace {

// UserError for the first number that the integer dtype `to` cannot hold. Fractions are cut off first.
void require_in_range(const void* data, std::size_t count, DType from, DType to) {
  const bool narrows = is_floating(from) || (from == DType::i64 && to != DType::i64) ||
                       (from == DType::i32 && to == DType::u8);
  if (is_floating(to) || to == DType::boolean || !narrows) return;
  const auto* bytes = static_cast<const std::byte*>(data);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* element = bytes + i * size_of(from);
    double number = 0;
    std::int64_t whole = 0;
    if (is_floating(from))
      convert(element, from, &number, DType::f64, 1);
    else
      convert(element, from, &whole, DType::i64, 1);
    const Scalar value = is_floating(from) ? Scalar(std::trunc(number)) : Scalar(whole);
    if (!value.fits(to))
      throw UserError(
          fmt::format("Tensor::from: {} at place {} is out of range for {}: ask for a wider dtype",
                      to_string(value), i, to_string(to)));
  }
}

}  // namespace

void Tensor::throw_beyond_i64(std::uint64_t value, std::size_t index) {
  throw UserError(fmt::format(
      "Tensor::from: {} at place {} is out of range for i64, the widest integer dtype", value, index));
}

Tensor Tensor::from(const std::vector<bool>& data, const Shape& shape, TensorOptions options) {
  std::vector<std::uint8_t> bytes(data.begin(), data.end());
  return from_bytes(bytes.data(), bytes.size(), DType::boolean, shape, options);
}

Tensor Tensor::from_bytes(const void* data, std::size_t count, DType from, const Shape& shape,
                          TensorOptions options) {
  if (count != static_cast<std::size_t>(shape.numel()))
    throw UserError(fmt::format("Tensor::from: {} values do not fill shape {}, which has {} elements", count,
                                to_string(shape), shape.numel()));
  const DType dtype = options.dtype.value_or(from);
  require_in_range(data, count, from, dtype);
  options.dtype = dtype;
  return make(shape, options, [&](std::byte* to) { convert(data, from, to, dtype, shape.numel()); });
}

}  // namespace reprise
