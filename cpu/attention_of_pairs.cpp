// Attention in bf16 where the processor multiplies bf16 itself (pair_product.h): attention.cpp's tiles and passes over
// scores in f32, with weights and their gradients rounded to bf16 for the products that they enter, and sums in f32.
// Results that are summed over keys stand transposed, [element of a head][query], so that every product reads weights as
// they lie, [key][query]. Work is shared out by batch entry and key head; the bits follow from the shape and the machine.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/attention_of_pairs.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "reprise/cpu/attention_pair_scratch.h"
#include "reprise/cpu/thread_scratch.h"
#include "reprise/cpu/vector_heads.h"
#include "reprise/cpu/vector_pairs.h"
#include "reprise/cpu/vector_scores.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kPairStrip = 32;

// scores[j][i] = scale k_j q_i for the part of the tile that is seen.
HWY_INLINE void score_product(const PairProducts& product, const Tile& tile, std::int64_t depth,
                              const BFloat16* k, const std::uint32_t* q_pairs, float scale, float* scores) {
  for_each_strip(round_up(tile.keys, kPairStrip), tile, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t skipped = tile.first_computed(first);
    product(count, kTile - skipped, depth,
            {k + first * depth, depth, q_pairs + skipped, kTile, scores + first * kTile + skipped, kTile},
            false);
  });
  if (scale == 1) return;
  for (std::int64_t j = 0; j < tile.keys; ++j) {
    const std::int64_t first = tile.first_computed(j);
    float* row = scores + j * kTile + first;
    map(row, row, kTile - first, [s = set(scale)](Vec x) HWY_ATTR { return hn::Mul(x, s); });
  }
}

// sum[d][i] (+)= sum over j of transposed[d][j] weights[j][i]
HWY_INLINE void query_product(const PairProducts& product, const Tile& tile, const PairScratch& s, bool add) {
  const std::int64_t keys = round_up(tile.keys, kPairDepth), strip = tile.diagonal ? tile.strip : kTile;
  for (std::int64_t first = 0; first < kTile; first += strip)
    product(s.depth, strip, tile.diagonal ? std::min(keys, first + strip) : keys,
            {s.transposed + tile.first_key, s.keys, s.weight_pairs + first, kTile, s.sum + first, kTile},
            add);
}

// sum[j][d] += sum over i of weights[j][i] b[i][d], b by pairs of its rows
HWY_INLINE void key_product(const PairProducts& product, const Tile& tile, std::int64_t depth,
                            const BFloat16* weights, const std::uint32_t* b_pairs, float* sum) {
  for_each_strip(round_up(tile.keys, kPairStrip), tile, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t skipped = tile.first_computed(first);
    product(count, depth, kTile - skipped,
            {weights + first * kTile + skipped, kTile, b_pairs + skipped / 2 * depth, depth,
             sum + (tile.first_key + first) * depth, depth},
            true);
  });
}

// pairs[j / 2][i]: values[j][i] and values[j + 1][i], rounded; 0 for keys that the tile does not have.
HWY_INLINE void round_into_pairs(const Tile& tile, const float* values, std::uint32_t* pairs) {
  const std::int64_t keys = round_up(tile.keys, kPairDepth);
  for (std::int64_t j = 0; j < keys; j += 2)
    for (std::int64_t i = tile.first_computed(j); i < kTile; i += lanes()) {
      const float* at = values + j * kTile + i;
      const Vec lower = j < tile.keys ? load(at) : hn::Zero(F32()),
                upper = j + 1 < tile.keys ? load(at + kTile) : hn::Zero(F32());
      hn::StoreU(pairs_of(rounded_bits(lower), rounded_bits(upper)), U32(), pairs + j / 2 * kTile + i);
    }
}

// The same by rows.
HWY_INLINE void round_weights(const Tile& tile, const float* values, BFloat16* rounded) {
  for (std::int64_t j = 0; j < round_up(tile.keys, kPairStrip); ++j) {
    const std::int64_t begin = j * kTile + tile.first_computed(j), end = (j + 1) * kTile;
    if (j < tile.keys)
      map(values + begin, rounded + begin, end - begin, [](Vec x) HWY_ATTR { return x; });
    else
      std::fill(rounded + begin, rounded + end, BFloat16{});
  }
}

// Products multiply hidden rows by a weight of 0, which hides no NaN and no infinity. So their operands are cleared, and
// add_non_finite() gives what was cleared to the sums that see it.

HWY_INLINE bool is_finite(BFloat16 x) { return (x.bits & 0x7F80) != 0x7F80; }

// NaN and infinity become 0. Whether there were any.
HWY_INLINE bool clear_non_finite(BFloat16* x, std::int64_t count) {
  bool any = false;
  for (std::int64_t i = 0; i < count; ++i) any |= !is_finite(x[i]);
  for (std::int64_t i = 0; any && i < count; ++i)
    if (!is_finite(x[i])) x[i] = {};
  return any;
}

// add(i, j, d, weights[j][i] * row d of `from`) for all that is not finite and seen; from(i, j) is the row.
template <class From, class Add>
HWY_INLINE void add_non_finite(const ScoreContext& context, const Tile& tile, const float* weights, From from,
                               Add add) {
  for (std::int64_t j = 0; j < tile.keys; ++j)
    for (std::int64_t i = 0; i < tile.queries; ++i) {
      if (!context.sees(tile, i, j)) continue;
      const BFloat16* row = from(i, j);
      for (std::int64_t d = 0; d < context.shape.head_dim; ++d)
        if (!is_finite(row[d])) add(i, j, d, weights[j * kTile + i] * to_float(row[d]));
    }
}

// To the sums of queries, from rows of keys.
HWY_INLINE void add_non_finite_keys(const ScoreContext& context, const Tile& tile, const PairScratch& s,
                                    const float* weights, const BFloat16* rows) {
  add_non_finite(
      context, tile, weights,
      [&](std::int64_t, std::int64_t j) { return rows + (tile.first_key + j) * s.depth; },
      [&](std::int64_t i, std::int64_t, std::int64_t d, float term) { s.sum[d * kTile + i] += term; });
}

// To the sums of keys, from rows of queries.
HWY_INLINE void add_non_finite_queries(const ScoreContext& context, const Tile& tile, const PairScratch& s,
                                       const float* weights, Rows<const BFloat16> rows, float* sum) {
  add_non_finite(
      context, tile, weights,
      [&](std::int64_t i, std::int64_t) { return from_row(rows, tile.first_query + i).data; },
      [&](std::int64_t, std::int64_t j, std::int64_t d, float term) {
        sum[(tile.first_key + j) * s.depth + d] += term;
      });
}

HWY_INLINE bool hides_some(const AttentionSettings& settings, const ConstView& mask) {
  return settings.causal || mask.info;
}

struct PairForwardHead {
  Rows<const BFloat16> q;
  Rows<BFloat16> y;
  float* lse;
  bool v_cleared;  // in s.transposed
};
struct PairBackwardHead {
  Rows<const BFloat16> q, y, dy;
  const float* lse;
  Rows<BFloat16> dq;  // data is null where it is not wanted
  bool wants_dk, wants_dv;
  bool k_cleared;  // in s.transposed
};

// Copies k and v of one head, padded.
HWY_INLINE void read_keys(const HeadRows<ConstView>& k, const HeadRows<ConstView>& v,
                          const AttentionShape& shape, std::int64_t b, std::int64_t key_head,
                          const PairScratch& s) {
  pad(head_rows<BFloat16>(k, shape, shape.keys, b, key_head), shape.keys, shape.head_dim, {s.k, s.depth},
      s.keys);
  pad(head_rows<BFloat16>(v, shape, shape.keys, b, key_head), shape.keys, shape.head_dim, {s.v, s.depth},
      s.keys);
}

// The tile of `kTile` queries that begins at q0, padded, and by pairs of its columns.
HWY_INLINE void read_queries(Rows<const BFloat16> from, std::int64_t q0, std::int64_t queries,
                             const AttentionShape& shape, const PairScratch& s, std::uint32_t* pairs) {
  pad(from_row(from, q0), queries, shape.head_dim, {s.rows, s.depth}, kTile);
  pair_columns({s.rows, s.depth}, kTile, s.depth, {pairs, kTile});
}

// Rounds what stands transposed in sum.
HWY_INLINE void write_queries(const PairScratch& s, std::int64_t q0, std::int64_t queries,
                              const AttentionShape& shape, Rows<BFloat16> to) {
  transpose<float>({s.sum, kTile}, shape.head_dim, queries, Unchanged(), {s.result, s.depth}, shape.head_dim);
  round_rows({s.result, s.depth}, queries, shape.head_dim, from_row(to, q0));
}

// Every row of sum times a number of each query.
HWY_INLINE void scale_sum(const PairScratch& s, const float* factors) {
  for (std::int64_t d = 0; d < s.depth; ++d)
    map(s.sum + d * kTile, factors, s.sum + d * kTile, kTile,
        [](Vec x, Vec factor) HWY_ATTR { return hn::Mul(x, factor); });
}

HWY_INLINE void forward_tile(const PairProducts& product, const ScoreContext& context,
                             const PairForwardHead& head, const PairForwardScratch& s, std::int64_t q0) {
  const AttentionShape& shape = context.shape;
  const std::int64_t queries = std::min(kTile, shape.queries - q0);
  read_queries(head.q, q0, queries, shape, s, s.q_pairs);
  std::fill(s.highest, s.highest + kTile, -std::numeric_limits<float>::infinity());
  std::fill(s.total, s.total + kTile, 0.0F);
  if (shape.keys == 0) std::fill(s.sum, s.sum + s.depth * kTile, 0.0F);
  for_each_seen_tile(context, q0, kTile, kPairStrip, [&](const Tile& tile) HWY_ATTR {
    const std::int64_t k0 = tile.first_key;
    score_product(product, tile, s.depth, s.k + k0 * s.depth, s.q_pairs,
                  static_cast<float>(context.settings.scale), s.scores);
    hide(context, tile, s.scores);
    add_to_softmax(tile, s.scores, s.highest, s.total, s.correction);
    drop_out(context, tile, s.scores);
    round_into_pairs(tile, s.scores, s.weight_pairs);
    if (k0 > 0) scale_sum(s, s.correction);
    query_product(product, tile, s, k0 > 0);
    if (head.v_cleared) add_non_finite_keys(context, tile, s, s.scores, s.v);
  });
  for (std::int64_t i = 0; i < kTile; ++i) {
    if (i < queries) head.lse[q0 + i] = s.highest[i] + std::log(s.total[i]);
    s.total[i] = s.total[i] == 0 ? 0.0F : 1 / s.total[i];
  }
  scale_sum(s, s.total);
  write_queries(s, q0, queries, shape, head.y);
}

// s.dk and s.dv are added to.
HWY_INLINE void backward_tile(const PairProducts& product, const ScoreContext& context,
                              const PairBackwardHead& head, const PairBackwardScratch& s, std::int64_t q0) {
  const AttentionShape& shape = context.shape;
  const std::int64_t queries = std::min(kTile, shape.queries - q0);
  const bool hides = hides_some(context.settings, context.mask_values);
  read_queries(head.q, q0, queries, shape, s, s.q_pairs);
  const bool q_cleared = hides && clear_non_finite(s.rows, kTile * s.depth);
  pair_rows({s.rows, s.depth}, kTile, s.depth, {s.q_rows, s.depth});
  read_queries(head.dy, q0, queries, shape, s, s.dy_pairs);
  const bool dy_cleared = hides && clear_non_finite(s.rows, kTile * s.depth);
  pair_rows({s.rows, s.depth}, kTile, s.depth, {s.dy_rows, s.depth});
  read_row_terms(shape, q0, head.dy, head.y, head.lse, s.lse, s.delta);
  if (shape.keys == 0) std::fill(s.sum, s.sum + s.depth * kTile, 0.0F);
  for_each_seen_tile(context, q0, kTile, kPairStrip, [&](const Tile& tile) HWY_ATTR {
    const std::int64_t k0 = tile.first_key;
    score_product(product, tile, s.depth, s.k + k0 * s.depth, s.q_pairs,
                  static_cast<float>(context.settings.scale), s.scores);
    score_product(product, tile, s.depth, s.v + k0 * s.depth, s.dy_pairs, 1, s.gradients);
    hide(context, tile, s.scores);
    // Products add up over whole tiles: a masked key that is NaN must not meet the padding.
    for (std::int64_t j = 0; hides && queries < kTile && j < tile.keys; ++j)
      std::fill(s.scores + j * kTile + queries, s.scores + (j + 1) * kTile,
                -std::numeric_limits<float>::infinity());
    score_gradients(context, tile, s.scores, s.gradients, s.lse, s.delta);
    if (head.wants_dv) {
      round_weights(tile, s.scores, s.weights);
      key_product(product, tile, s.depth, s.weights, s.dy_rows, s.dv);
      if (dy_cleared) add_non_finite_queries(context, tile, s, s.scores, head.dy, s.dv);
    }
    if (head.wants_dk) {
      round_weights(tile, s.gradients, s.score_gradients);
      key_product(product, tile, s.depth, s.score_gradients, s.q_rows, s.dk);
      if (q_cleared) add_non_finite_queries(context, tile, s, s.gradients, head.q, s.dk);
    }
    if (head.dq.data) {
      round_into_pairs(tile, s.gradients, s.weight_pairs);
      query_product(product, tile, s, k0 > 0);
      if (head.k_cleared) add_non_finite_keys(context, tile, s, s.gradients, s.k);
    }
  });
  if (head.dq.data) write_queries(s, q0, queries, shape, head.dq);
}

void attention_of_pairs(const AttentionArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& shape = args.shape;
  const std::int64_t group = shape.heads / shape.key_heads;
  for_each_with_scratch(shape.batch * shape.key_heads, PairForwardScratch(shape, nullptr).cutter.bytes(),
                        workspace, [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                          const std::int64_t b = item / shape.key_heads, key_head = item % shape.key_heads;
                          const PairForwardScratch s(shape, scratch);
                          const PairProducts product(*pair_products().front());
                          read_keys(args.k, args.v, shape, b, key_head, s);
                          transpose({s.v, s.depth}, s.keys, s.depth, s.row_pairs, {s.transposed, s.keys});
                          const bool cleared = hides_some(args.settings, args.mask) &&
                                               clear_non_finite(s.transposed, s.keys * s.depth);
                          for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
                            const PairForwardHead head = {
                                head_rows<BFloat16>(args.q, shape, shape.queries, b, h),
                                head_rows<BFloat16>(whole(args.y, shape), shape, shape.queries, b, h),
                                args.lse.as<float>() + (b * shape.heads + h) * shape.queries, cleared};
                            const ScoreContext context(shape, args.settings, args.mask, b, h);
                            for (std::int64_t q0 = 0; q0 < shape.queries; q0 += kTile)
                              forward_tile(product, context, head, s, q0);
                          }
                        });
}

void attention_backward_of_pairs(const AttentionBackwardArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& shape = args.shape;
  const std::int64_t group = shape.heads / shape.key_heads;
  for_each_with_scratch(shape.batch * shape.key_heads, PairBackwardScratch(shape, nullptr).cutter.bytes(),
                        workspace, [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                          const std::int64_t b = item / shape.key_heads, key_head = item % shape.key_heads;
                          const PairBackwardScratch s(shape, scratch);
                          const PairProducts product(*pair_products().front());
                          read_keys(args.k, args.v, shape, b, key_head, s);
                          transpose({s.k, s.depth}, s.keys, s.depth, s.row_pairs, {s.transposed, s.keys});
                          const bool cleared = hides_some(args.settings, args.mask) &&
                                               clear_non_finite(s.transposed, s.keys * s.depth);
                          std::fill(s.dk, s.dk + s.keys * s.depth, 0.0F);
                          std::fill(s.dv, s.dv + s.keys * s.depth, 0.0F);
                          for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
                            const PairBackwardHead head = {
                                head_rows<BFloat16>(args.q, shape, shape.queries, b, h),
                                head_rows<BFloat16>(whole(args.y, shape), shape, shape.queries, b, h),
                                head_rows<BFloat16>(whole(args.dy, shape), shape, shape.queries, b, h),
                                args.lse.as<float>() + (b * shape.heads + h) * shape.queries,
                                head_rows<BFloat16>(args.dq, shape, shape.queries, b, h),
                                args.dk.values.info != nullptr,
                                args.dv.values.info != nullptr,
                                cleared};
                            const ScoreContext context(shape, args.settings, args.mask, b, h);
                            for (std::int64_t q0 = 0; q0 < shape.queries; q0 += kTile)
                              backward_tile(product, context, head, s, q0);
                          }
                          round_rows({s.dk, s.depth}, shape.keys, shape.head_dim,
                                     head_rows<BFloat16>(args.dk, shape, shape.keys, b, key_head));
                          round_rows({s.dv, s.depth}, shape.keys, shape.head_dim,
                                     head_rows<BFloat16>(args.dv, shape, shape.keys, b, key_head));
                        });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(attention_of_pairs);
HWY_EXPORT(attention_backward_of_pairs);

namespace {

std::size_t attention_workspace(const AttentionArgs& args) {
  return scratch_workspace(args.shape.batch * args.shape.key_heads,
                           PairForwardScratch(args.shape, nullptr).cutter.bytes());
}
std::size_t attention_backward_workspace(const AttentionBackwardArgs& args) {
  return scratch_workspace(args.shape.batch * args.shape.key_heads,
                           PairBackwardScratch(args.shape, nullptr).cutter.bytes());
}

}  // namespace

void fill_attention_of_pairs() {
  attention_slot.fill(Device::CPU, DType::bf16,
                      {HWY_DYNAMIC_DISPATCH(attention_of_pairs), attention_workspace});
  attention_backward_slot.fill(
      Device::CPU, DType::bf16,
      {HWY_DYNAMIC_DISPATCH(attention_backward_of_pairs), attention_backward_workspace});
}

}  // namespace reprise::cpu
#endif
