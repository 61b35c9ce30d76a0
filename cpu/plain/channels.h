#pragma once
// Sums over the rows of [rows, channels], several channels side by side, in double.
#include <algorithm>
#include <array>
#include <cstdint>

#include "reprise/cpu/strided_loop.h"

namespace reprise::cpu {

inline constexpr std::int64_t kChannelBlock = 16;
using ChannelSums = std::array<double, kChannelBlock>;

// Calls body(first, count) for blocks of at most kChannelBlock channels, shared out among threads: each channel's sum is
// made by one thread, in the order of the rows.
template <class Body>
void for_each_channel_block(std::int64_t rows, std::int64_t channels, Body body) {
  const std::int64_t blocks = (channels + kChannelBlock - 1) / kChannelBlock;
  parallel_for(blocks, kGrain / (rows * kChannelBlock + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kChannelBlock;
      body(first, std::min(kChannelBlock, channels - first));
    }
  });
}

// The sum of term(row, channel) over the rows, for channels first .. first + count.
template <class Term>
ChannelSums sum_rows(std::int64_t rows, std::int64_t first, std::int64_t count, Term term) {
  ChannelSums sums = {};
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t c = 0; c < count; ++c) sums[static_cast<std::size_t>(c)] += term(row, first + c);
  return sums;
}

}  // namespace reprise::cpu
