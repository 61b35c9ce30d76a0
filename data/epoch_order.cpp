#include "reprise/data/epoch_order.h"

#include <cstddef>
#include <numeric>
#include <utility>

#include "reprise/core/random.h"

namespace reprise::data {

std::uint64_t epoch_stream(std::uint64_t seed, std::int64_t epoch, EpochStream purpose) {
  // Two streams fit into a block.
  const auto words =
      philox(purpose == EpochStream::windows ? ~seed : seed, static_cast<std::uint64_t>(epoch));
  const std::size_t first = purpose == EpochStream::augment ? 2 : 0;
  return static_cast<std::uint64_t>(words[first + 1]) << 32 | words[first];
}

std::vector<std::int64_t> epoch_order(std::int64_t size, bool shuffle, std::uint64_t seed,
                                      std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
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
