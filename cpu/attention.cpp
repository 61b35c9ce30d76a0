// Attention in tiles of 64 queries by 64 keys. Scores stand transposed, [key][query], so that a lane is a query: its
// running maximum and sum need no sums over lanes, and a tile of queries is transposed once for all the keys it sees.
// Above the diagonal nothing is computed, in steps of 16. Forward's work is shared out by batch entry, head and tile of
// queries, backward's by batch entry and key head; either way the bits follow from the shape.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/attention.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "reprise/cpu/attention_tiles.h"
#include "reprise/cpu/thread_scratch.h"
#include "reprise/cpu/vector_product.h"
#include "reprise/cpu/vector_scores.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// The rows of one head of q, k, v or a gradient of one.
HWY_INLINE Rows<const float> head_rows(const HeadRows<ConstView>& of, const AttentionShape& s,
                                       std::int64_t positions, std::int64_t b, std::int64_t h) {
  return {of.values.as<float>() + b * positions * of.row + of.first + h * s.head_dim, of.row};
}
HWY_INLINE Rows<float> head_rows(const HeadRows<View>& of, const AttentionShape& s, std::int64_t positions,
                                 std::int64_t b, std::int64_t h) {
  if (!of.values.info) return {nullptr, 0};
  return {of.values.as<float>() + b * positions * of.row + of.first + h * s.head_dim, of.row};
}
template <class T>
HWY_INLINE Rows<T> from_row(Rows<T> rows, std::int64_t first) {
  return {rows.data + first * rows.row, rows.row};
}

// scores[j][i] = k_j q_i, q transposed, for the part of the tile that is seen.
HWY_INLINE void score_product(const Tile& tile, std::int64_t head_dim, Rows<const float> k, const float* q,
                              float* scores) {
  for_each_strip(tile.keys, tile.diagonal, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t skipped = tile.diagonal ? first : 0;
    if (skipped < tile.width)
      product(count, tile.width - skipped, head_dim, {k.data + first * k.row, k.row, 1}, {q + skipped, kTile},
              {scores + first * kTile + skipped, kTile}, false);
  });
}
// y_i (+)= sum over j of weights[j][i] b_j
HWY_INLINE void query_product(const Tile& tile, std::int64_t head_dim, const float* weights,
                              Rows<const float> b, Rows<float> y, bool add) {
  for_each_strip(tile.queries, tile.diagonal, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t seen = tile.diagonal ? std::min(tile.keys, first + count) : tile.keys;
    product(count, head_dim, seen, {weights + first, 1, kTile}, b, from_row(y, first), add);
  });
}
// y_j (+)= sum over i of weights[j][i] b_i
HWY_INLINE void key_product(const Tile& tile, std::int64_t head_dim, const float* weights,
                            Rows<const float> b, Rows<float> y, bool add) {
  for_each_strip(tile.keys, tile.diagonal, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t skipped = tile.diagonal ? std::min(first, tile.queries) : 0;
    product(count, head_dim, tile.queries - skipped, {weights + first * kTile + skipped, kTile, 1},
            from_row(b, skipped), from_row(y, first), add);
  });
}

void attention(const AttentionArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const std::int64_t tiles = tile_count(s.queries), n = lanes();
  const std::size_t bytes = forward_scratch(s.head_dim);
  for_each_with_scratch(
      s.batch * s.heads * tiles, bytes, workspace, [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
        const std::int64_t h = item / tiles % s.heads, b = item / tiles / s.heads;
        const std::int64_t q0 = balanced(item % tiles, tiles) * kTile;
        const std::int64_t queries = std::min(kTile, s.queries - q0), key_head = h / (s.heads / s.key_heads);
        const ScoreContext context(args.shape, args.settings, args.mask, b, h);
        auto* q = reinterpret_cast<float*>(scratch);
        float *scores = q + s.head_dim * kTile, *sum = scores + kTile * kTile,
              *highest = sum + s.head_dim * kTile, *total = highest + kTile, *correction = total + kTile;
        const std::int64_t width = (queries + n - 1) / n * n;
        transpose(from_row(head_rows(args.q, s, s.queries, b, h), q0), queries, s.head_dim,
                  static_cast<float>(args.settings.scale), {q, kTile}, width);
        const Rows<const float> k = head_rows(args.k, s, s.keys, b, key_head),
                                v = head_rows(args.v, s, s.keys, b, key_head);
        std::fill(highest, highest + kTile, -std::numeric_limits<float>::infinity());
        std::fill(total, total + kTile, 0.0F);
        std::fill(sum, sum + kTile * s.head_dim, 0.0F);
        const std::int64_t seen = args.settings.causal ? std::min(s.keys, q0 + queries) : s.keys;
        for (std::int64_t k0 = 0; k0 < seen; k0 += kTile) {
          const Tile tile{
              q0, k0, queries, std::min(kTile, seen - k0), width, args.settings.causal && k0 == q0};
          score_product(tile, s.head_dim, from_row(k, k0), q, scores);
          hide(context, tile, scores);
          add_to_softmax(tile, scores, highest, total, correction);
          drop_out(context, tile, scores);
          if (k0 > 0)
            for (std::int64_t i = 0; i < queries; ++i)
              map(sum + i * s.head_dim, sum + i * s.head_dim, s.head_dim,
                  [c = correction[i]](Vec x) HWY_ATTR { return hn::Mul(x, set(c)); });
          query_product(tile, s.head_dim, scores, from_row(v, k0), {sum, s.head_dim}, true);
        }
        for (std::int64_t i = 0; i < queries; ++i) {
          float* y = args.y.as<float>() + ((b * s.queries + q0 + i) * s.heads + h) * s.head_dim;
          const float divided = total[i] == 0 ? 0.0F : 1 / total[i];
          map(sum + i * s.head_dim, y, s.head_dim, [=](Vec x) HWY_ATTR { return hn::Mul(x, set(divided)); });
          args.lse.as<float>()[(b * s.heads + h) * s.queries + q0 + i] = highest[i] + std::log(total[i]);
        }
      });
}

// The sum of products of two rows.
HWY_INLINE float dot(const float* x, const float* y, std::int64_t count) {
  const std::int64_t n = lanes();
  Vec sum = hn::Zero(F32());
  std::int64_t i = 0;
  for (; i + n <= count; i += n) sum = hn::MulAdd(load(x + i), load(y + i), sum);
  if (i < count) sum = hn::MulAdd(load_part(x + i, count - i), load_part(y + i, count - i), sum);
  return sum_of_lanes(sum);
}

// All gradients of one head of queries, added to those of its key head's earlier ones.
HWY_INLINE void backward_head(const AttentionBackwardArgs& args, std::int64_t b, std::int64_t h,
                              std::byte* scratch) {
  const AttentionShape& s = args.shape;
  const std::int64_t n = lanes(), group = s.heads / s.key_heads, key_head = h / group;
  const ScoreContext context(args.shape, args.settings, args.mask, b, h);
  auto* q_transposed = reinterpret_cast<float*>(scratch);
  float *dy_transposed = q_transposed + s.head_dim * kTile, *weights = dy_transposed + s.head_dim * kTile,
        *gradients = weights + kTile * kTile, *lse = gradients + kTile * kTile, *delta = lse + kTile;
  const Rows<const float> q = head_rows(args.q, s, s.queries, b, h),
                          k = head_rows(args.k, s, s.keys, b, key_head),
                          v = head_rows(args.v, s, s.keys, b, key_head);
  const Rows<float> dq = head_rows(args.dq, s, s.queries, b, h),
                    dk = head_rows(args.dk, s, s.keys, b, key_head),
                    dv = head_rows(args.dv, s, s.keys, b, key_head);
  const std::int64_t step = s.heads * s.head_dim, first = b * s.queries * step + h * s.head_dim;
  const Rows<const float> dy = {args.dy.as<float>() + first, step}, y = {args.y.as<float>() + first, step};
  for (std::int64_t q0 = 0; q0 < s.queries; q0 += kTile) {
    const std::int64_t queries = std::min(kTile, s.queries - q0), width = (queries + n - 1) / n * n;
    transpose(from_row(q, q0), queries, s.head_dim, static_cast<float>(args.settings.scale),
              {q_transposed, kTile}, width);
    transpose(from_row(dy, q0), queries, s.head_dim, 1, {dy_transposed, kTile}, width);
    for (std::int64_t i = 0; i < kTile; ++i) {
      const bool there = i < queries;
      delta[i] = there ? dot(from_row(dy, q0 + i).data, from_row(y, q0 + i).data, s.head_dim) : 0;
      const float value = there ? args.lse.as<float>()[(b * s.heads + h) * s.queries + q0 + i] : 0;
      lse[i] = std::isinf(value) ? 0 : value;  // of a query that sees no key: all scores are minus infinity
    }
    const std::int64_t seen = args.settings.causal ? std::min(s.keys, q0 + queries) : s.keys;
    for (std::int64_t k0 = 0; k0 < seen; k0 += kTile) {
      const Tile tile{q0, k0, queries, std::min(kTile, seen - k0), width, args.settings.causal && k0 == q0};
      score_product(tile, s.head_dim, from_row(k, k0), q_transposed, weights);
      score_product(tile, s.head_dim, from_row(v, k0), dy_transposed, gradients);
      hide(context, tile, weights);
      score_gradients(context, tile, weights, gradients, lse, delta);
      if (dv.data) key_product(tile, s.head_dim, weights, from_row(dy, q0), from_row(dv, k0), true);
      if (dk.data) key_product(tile, s.head_dim, gradients, from_row(q, q0), from_row(dk, k0), true);
      if (dq.data) query_product(tile, s.head_dim, gradients, from_row(k, k0), from_row(dq, q0), k0 > 0);
    }
    if (dq.data && seen == 0)
      for (std::int64_t i = q0; i < q0 + queries; ++i) std::fill_n(from_row(dq, i).data, s.head_dim, 0.0F);
  }
}

void attention_backward(const AttentionBackwardArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const std::int64_t group = s.heads / s.key_heads;
  for_each_with_scratch(s.batch * s.key_heads, backward_scratch(s.head_dim), workspace,
                        [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                          const std::int64_t b = item / s.key_heads, key_head = item % s.key_heads;
                          for (const HeadRows<View>* of : {&args.dk, &args.dv}) {
                            const Rows<float> rows = head_rows(*of, s, s.keys, b, key_head);
                            for (std::int64_t j = 0; rows.data && j < s.keys; ++j)
                              std::fill_n(from_row(rows, j).data, s.head_dim, 0.0F);
                          }
                          for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h)
                            backward_head(args, b, h, scratch);
                        });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(attention);
HWY_EXPORT(attention_backward);

namespace {

std::size_t attention_workspace(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.heads * tile_count(s.queries), forward_scratch(s.head_dim));
}
std::size_t attention_backward_workspace(const AttentionBackwardArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.key_heads, backward_scratch(s.head_dim));
}

}  // namespace

void fill_fast_attention() {
  fill(attention_slot, HWY_DYNAMIC_DISPATCH(attention), attention_workspace);
  fill(attention_backward_slot, HWY_DYNAMIC_DISPATCH(attention_backward), attention_backward_workspace);
}

}  // namespace reprise::cpu
#endif
