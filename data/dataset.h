#pragma once
// A dataset is any type with `std::int64_t size() const` and `Batch get(std::span<const std::int64_t>
// indices) const`; a loader calls get on a thread of its own. Where samples differ from epoch to epoch, get takes
// the epoch as a second argument.
#include <concepts>
#include <cstdint>
#include <span>

#include "reprise/core/tensor.h"

namespace reprise::data {

enum class Split { train, test };

// The samples asked for, along the leading dimension, in the order asked for.
struct Batch {
  Tensor inputs, targets;
};

template <class D>
concept Dataset = requires(const D& dataset, std::span<const std::int64_t> indices) {
  { dataset.size() } -> std::convertible_to<std::int64_t>;
  { dataset.get(indices) } -> std::convertible_to<Batch>;
};

// UserError, naming the dataset, for an index outside [0, size).
void check_indices(const char* dataset, std::span<const std::int64_t> indices, std::int64_t size);

}  // namespace reprise::data
