#include "reprise/data/epoch_order.h"

#include <fmt/format.h>

#include <cstddef>
#include <exception>
#include <numeric>
#include <utility>

#include "reprise/core/error.h"

namespace reprise::data {

std::uint64_t epoch_stream(std::uint64_t seed, std::int64_t epoch, EpochStream purpose) {
  // Two streams fit into a block.
  const bool second_block = purpose == EpochStream::windows || purpose == EpochStream::draws;
  const bool second_half = purpose == EpochStream::augment || purpose == EpochStream::draws;
  const auto words = philox(second_block ? ~seed : seed, static_cast<std::uint64_t>(epoch));
  const std::size_t first = second_half ? 2 : 0;
  return static_cast<std::uint64_t>(words[first + 1]) << 32 | words[first];
}

RandomAddress batch_draws(std::uint64_t seed, std::int64_t epoch, std::int64_t batch) {
  const auto words = philox(epoch_stream(seed, epoch, EpochStream::draws), static_cast<std::uint64_t>(batch));
  return {.seed = static_cast<std::uint64_t>(words[1]) << 32 | words[0], .offset = 0};
}

std::vector<std::int64_t> epoch_order(std::int64_t size, bool shuffle, std::uint64_t seed,
                                      std::int64_t epoch) {
  if (size < 0) throw UserError(fmt::format("Loader: the dataset has size {}; at least 0", size));
  std::vector<std::int64_t> order;
  try {
    order.resize(static_cast<std::size_t>(size));
  } catch (const std::exception&) {  // bad_alloc or length_error
    throw UserError(fmt::format("Loader: the order of {} samples does not fit into memory", size));
  }
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle) return order;
  const std::uint64_t stream = epoch_stream(seed, epoch, EpochStream::shuffle);
  for (std::size_t last = order.size(); last > 1; --last) {
    const auto words = philox(stream, last);
    const std::uint64_t word = static_cast<std::uint64_t>(words[1]) << 32 | words[0];
    // The high half of word * last: uniform in [0, last) up to last / 2^64.
    const auto place = static_cast<std::size_t>((static_cast<unsigned __int128>(word) * last) >> 64);
    std::swap(order[last - 1], order[place]);
  }
  return order;
}

}  // namespace reprise::data
