#pragma once
// How attention's fast kernels cut queries and keys into tiles.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "reprise/cpu/attention_mask.h"

namespace reprise::cpu {

inline constexpr std::int64_t kTile =
    64;  // queries, and keys; scores lie [key][query], kTile queries to a row

inline std::int64_t tile_count(std::int64_t positions) { return (positions + kTile - 1) / kTile; }

// The tile that is computed in this place: the first, the last, the second, ... so that causal work, which grows with the
// tile, is spread evenly.
inline std::int64_t balanced(std::int64_t place, std::int64_t tiles) {
  return place % 2 == 0 ? place / 2 : tiles - 1 - place / 2;
}

// Queries [first_query, first_query + queries) by keys [first_key, first_key + keys). width: queries, rounded up to a
// vector. diagonal: a key is hidden from the queries before it, and first_key == first_query; what is seen is then cut
// into strips of as many rows.
struct Tile {
  std::int64_t first_query, first_key, queries, keys, width;
  bool diagonal;
  std::int64_t strip;

  // The first query that is computed for a key: what comes before it in a row of scores is not read.
  std::int64_t first_computed(std::int64_t key) const { return diagonal ? key / strip * strip : 0; }
};

// Calls body(first, count) for strips of rows, or for all at once where there is no diagonal.
template <class Body>
void for_each_strip(std::int64_t rows, const Tile& tile, Body body) {
  const std::int64_t strip = tile.diagonal ? tile.strip : std::max<std::int64_t>(rows, 1);
  for (std::int64_t first = 0; first < rows; first += strip) body(first, std::min(strip, rows - first));
}

// What masks and dropout of one head's scores need.
struct ScoreContext {
  const AttentionShape& shape;
  const AttentionSettings& settings;
  const ConstView& mask_values;
  HeadMask mask;
  std::int64_t b, h;

  ScoreContext(const AttentionShape& s, const AttentionSettings& options, const ConstView& values,
               std::int64_t batch_entry, std::int64_t head)
      : shape(s),
        settings(options),
        mask_values(values),
        mask(values, s, batch_entry, head),
        b(batch_entry),
        h(head) {}

  bool hides_some(const Tile& tile) const { return tile.diagonal || mask_values.info; }
  // Whether query i of the tile sees key j of the tile: neither causality nor the mask hides the key.
  bool sees(const Tile& tile, std::int64_t i, std::int64_t j) const {
    const std::int64_t query = tile.first_query + i, key = tile.first_key + j;
    if (settings.causal && key > query) return false;
    if (!mask_values.info) return true;
    const std::int64_t at = mask.first + query * mask.query + key * mask.key;
    if (mask_values.info->dtype == DType::boolean) return mask_values.as<bool>()[at];
    return mask_values.as<float>()[at] != -std::numeric_limits<float>::infinity();
  }
};

// Calls body(tile) for the tiles of keys that the tile of queries from q0 on sees any of, in order.
template <class Body>
void for_each_seen_tile(const ScoreContext& context, std::int64_t q0, std::int64_t width, std::int64_t strip,
                        Body body) {
  const AttentionShape& s = context.shape;
  const bool causal = context.settings.causal;
  const std::int64_t queries = std::min(kTile, s.queries - q0),
                     seen = causal ? std::min(s.keys, q0 + queries) : s.keys;
  for (std::int64_t k0 = 0; k0 < seen; k0 += kTile)
    body(Tile{q0, k0, queries, std::min(kTile, seen - k0), width, causal && k0 == q0, strip});
}

// Bytes of scratch: q transposed, scores, the sum of v, three numbers a query; and q and dy transposed, weights,
// gradients, two numbers a query.
inline std::size_t forward_scratch(std::int64_t head_dim) {
  return static_cast<std::size_t>((2 * head_dim + kTile + 3) * kTile) * sizeof(float);
}
inline std::size_t backward_scratch(std::int64_t head_dim) {
  return static_cast<std::size_t>((2 * head_dim + 2 * kTile + 2) * kTile) * sizeof(float);
}

// In bf16 a head's q, y, dy and dq, and k, v, dk and dv, stand there in f32 too: linear in the sequence.
inline std::size_t forward_scratch_bf16(const AttentionShape& s) {
  return forward_scratch(s.head_dim) +
         static_cast<std::size_t>(2 * (s.queries + s.keys) * s.head_dim) * sizeof(float);
}
inline std::size_t backward_scratch_bf16(const AttentionShape& s) {
  return backward_scratch(s.head_dim) +
         static_cast<std::size_t>(4 * (s.queries + s.keys) * s.head_dim) * sizeof(float);
}

}  // namespace reprise::cpu
