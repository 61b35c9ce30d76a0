#pragma once
// Made-up samples, for benchmarks and for trying a model without files: each class is a fixed random pattern,
// each sample its class's pattern at half strength plus noise of unit variance, so a model that learns can be
// seen to. A pure function of {seed, index}, without libm: the same bits on every machine.
#include <cstdint>
#include <span>

#include "reprise/core/shape.h"
#include "reprise/data/dataset.h"

namespace reprise::data {

struct SyntheticOptions {
  Shape shape = {28, 28, 1};  // of one sample
  std::int64_t classes = 10;
  std::int64_t size = 1024;
  std::uint64_t seed = 0;
  // Sets of one seed share the patterns; a test set differs from a training set in its samples.
  Split split = Split::train;
};

class Synthetic {
 public:
  // UserError for fewer than one class or a negative size.
  explicit Synthetic(SyntheticOptions options = {});
  std::int64_t size() const { return options_.size; }
  // inputs: f32 [n, shape...]; targets: i64 [n].
  Batch get(std::span<const std::int64_t> indices) const;

 private:
  SyntheticOptions options_;
};

struct SyntheticTokensOptions {
  std::int64_t length = 256;  // tokens of one sample
  std::int64_t vocabulary = 65;
  std::int64_t size = 1024;
  std::uint64_t seed = 0;
  Split split = Split::train;
};

// Uniformly random tokens: there is nothing to learn in them but that.
class SyntheticTokens {
 public:
  // UserError for a length or vocabulary below one and for a negative size.
  explicit SyntheticTokens(SyntheticTokensOptions options = {});
  std::int64_t size() const { return options_.size; }
  // i64 [n, length] both: each target is the input that comes next.
  Batch get(std::span<const std::int64_t> indices) const;

 private:
  SyntheticTokensOptions options_;
};

}  // namespace reprise::data
