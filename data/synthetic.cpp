#include "reprise/data/synthetic.h"

#include <fmt/format.h>

#include <vector>

#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/random.h"

namespace reprise::data {
namespace {

// Uniform on [-sqrt(3), sqrt(3)): mean 0, variance 1.
float unit_variance(std::uint32_t word) { return (uniform_from_word(word) - 0.5F) * 3.46410161513775F; }

// A stream of its own for every purpose and number.
std::uint64_t stream(std::uint64_t seed, std::uint64_t purpose, std::int64_t number) {
  const auto words = philox(seed ^ (purpose << 56), static_cast<std::uint64_t>(number));
  return static_cast<std::uint64_t>(words[1]) << 32 | words[0];
}

}  // namespace

Synthetic::Synthetic(SyntheticOptions options) : options_(options) {
  if (options_.classes < 1)
    throw UserError(fmt::format("Synthetic: {} classes; at least 1", options_.classes));
  if (options_.size < 0) throw UserError(fmt::format("Synthetic: size {}; at least 0", options_.size));
}

Batch Synthetic::get(std::span<const std::int64_t> indices) const {
  check_indices("Synthetic", indices, size());
  std::vector<std::int64_t> extents = {static_cast<std::int64_t>(indices.size())};
  const auto sample = options_.shape.extents();
  extents.insert(extents.end(), sample.begin(), sample.end());
  const memory::TagScope tag(memory::Tag::data);
  Batch batch{Tensor::empty(extents), Tensor::empty({extents[0]}, {.dtype = DType::i64})};
  const auto inputs = batch.inputs.write<float>();
  const auto targets = batch.targets.write<std::int64_t>();
  const auto numel = static_cast<std::size_t>(options_.shape.numel());
  const std::uint64_t purpose = options_.split == Split::train ? 1 : 2;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::uint64_t noise = stream(options_.seed, purpose, indices[i]);
    targets[i] = static_cast<std::int64_t>(random_word(noise, ~std::uint64_t{0}) %
                                           static_cast<std::uint64_t>(options_.classes));
    const std::uint64_t pattern = stream(options_.seed, 3, targets[i]);
    for (std::size_t j = 0; j < numel; j += 4) {
      const auto a = philox(pattern, j / 4), b = philox(noise, j / 4);
      for (std::size_t k = 0; k < 4 && j + k < numel; ++k)
        inputs[i * numel + j + k] = 0.5F * unit_variance(a[k]) + unit_variance(b[k]);
    }
  }
  return batch;
}

SyntheticTokens::SyntheticTokens(SyntheticTokensOptions options) : options_(options) {
  if (options_.length < 1 || options_.vocabulary < 1)
    throw UserError(fmt::format("SyntheticTokens: length {}, vocabulary {}; at least 1", options_.length,
                                options_.vocabulary));
  if (options_.size < 0) throw UserError(fmt::format("SyntheticTokens: size {}; at least 0", options_.size));
}

Batch SyntheticTokens::get(std::span<const std::int64_t> indices) const {
  check_indices("SyntheticTokens", indices, size());
  const Shape shape = {static_cast<std::int64_t>(indices.size()), options_.length};
  const memory::TagScope tag(memory::Tag::data);
  Batch batch{Tensor::empty(shape, {.dtype = DType::i64}), Tensor::empty(shape, {.dtype = DType::i64})};
  const auto inputs = batch.inputs.write<std::int64_t>();
  const auto targets = batch.targets.write<std::int64_t>();
  const auto length = static_cast<std::size_t>(options_.length);
  const std::uint64_t purpose = options_.split == Split::train ? 4 : 5;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::uint64_t tokens = stream(options_.seed, purpose, indices[i]);
    for (std::size_t j = 0; j <= length; ++j) {
      const auto token =
          static_cast<std::int64_t>(random_word(tokens, j) % static_cast<std::uint64_t>(options_.vocabulary));
      if (j < length) inputs[i * length + j] = token;
      if (j > 0) targets[i * length + j - 1] = token;
    }
  }
  return batch;
}

}  // namespace reprise::data
