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

// Makes the tensor and lets `write(host bytes)` fill it: in place on the CPU, else in host memory that is copied over.
// In a dry run only the bytes are counted.
template <class Write>
Tensor make(const Shape& shape, const TensorOptions& options, Write&& write) {
  Tensor result = empty({shape, options.dtype, options.device});
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

void fill(std::byte* data, DType dtype, std::int64_t count, double value) {
  std::array<std::byte, 8> one = {};
  convert(&value, DType::f64, one.data(), dtype, 1);
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

Tensor Tensor::full(const Shape& shape, double value, TensorOptions options) {
  return make(shape, options, [&](std::byte* data) { fill(data, options.dtype, shape.numel(), value); });
}

Tensor Tensor::arange(std::int64_t n, TensorOptions options) {
  return make({n}, options, [&](std::byte* data) {
    const std::size_t size = size_of(options.dtype);
    for (std::int64_t i = 0; i < n; ++i)
      convert(&i, DType::i64, data + static_cast<std::size_t>(i) * size, options.dtype, 1);
  });
}

Tensor Tensor::randn(const Shape& shape, TensorOptions options) {
  check_floating("randn", options.dtype);
  RandomDraw draw(words(shape, options.dtype));
  const RandomAddress address = draw.address();
  const std::int64_t count = shape.numel();
  Tensor result = make(shape, options, [&](std::byte* data) {
    if (options.dtype == DType::f64) {
      for_pairs(count, [&](std::int64_t i, std::int64_t n) {
        const std::array<double, 2> pair = normal_pair_f64(address, i);
        std::memcpy(data + 8 * i, pair.data(), static_cast<std::size_t>(8 * n));
      });
    } else {
      for_pairs(count, [&](std::int64_t i, std::int64_t n) {
        const std::array<float, 2> pair = normal_pair_f32(address, i);
        convert(pair.data(), DType::f32, data + static_cast<std::size_t>(i) * size_of(options.dtype),
                options.dtype, n);
      });
    }
  });
  draw.keep();
  return result;
}

Tensor Tensor::rand(const Shape& shape, TensorOptions options) {
  check_floating("rand", options.dtype);
  RandomDraw draw(words(shape, options.dtype));
  const RandomAddress address = draw.address();
  Tensor result = make(shape, options, [&](std::byte* data) {
    parallel_for(shape.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) write_uniform(data, options.dtype, i, address);
    });
  });
  draw.keep();
  return result;
}

Tensor Tensor::from_bytes(const void* data, std::size_t count, DType from, const Shape& shape,
                          TensorOptions options) {
  if (count != static_cast<std::size_t>(shape.numel()))
    throw UserError(fmt::format("Tensor::from: {} values do not fill shape {}, which has {} elements", count,
                                to_string(shape), shape.numel()));
  return make(shape, options, [&](std::byte* to) { convert(data, from, to, options.dtype, shape.numel()); });
}

}  // namespace reprise
