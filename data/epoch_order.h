#pragma once
// In which order an epoch visits the samples: a pure function of {seed, epoch}, independent of the thread's
// generator.
#include <cstdint>
#include <vector>

#include "reprise/core/random.h"

namespace reprise::data {

// The streams of random words that an epoch uses, one per purpose.
enum class EpochStream { shuffle, augment, windows, draws };
std::uint64_t epoch_stream(std::uint64_t seed, std::int64_t epoch, EpochStream purpose);

// The state of the thread's generator when a dataset makes batch `batch` of an epoch.
RandomAddress batch_draws(std::uint64_t seed, std::int64_t epoch, std::int64_t batch);

// 0, 1, ..., size - 1; or shuffled (Fisher-Yates, one Philox block per step). UserError for a negative size and for one whose
// order does not fit into memory.
std::vector<std::int64_t> epoch_order(std::int64_t size, bool shuffle, std::uint64_t seed,
                                      std::int64_t epoch);

}  // namespace reprise::data
