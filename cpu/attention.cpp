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
#include "reprise/cpu/pair_product.h"
#include "reprise/cpu/thread_scratch.h"
#include "reprise/cpu/vector_heads.h"
#include "reprise/cpu/vector_product.h"
#include "reprise/cpu/vector_scores.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kStrip = 16;

// scores[j][i] = k_j q_i, q transposed, for the part of the tile that is seen.
HWY_INLINE void score_product(const Tile& tile, std::int64_t head_dim, Rows<const float> k, const float* q,
                              float* scores) {
  for_each_strip(tile.keys, tile, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t skipped = tile.diagonal ? first : 0;
    if (skipped < tile.width)
      product(count, tile.width - skipped, head_dim, {k.data + first * k.row, k.row, 1}, {q + skipped, kTile},
              {scores + first * kTile + skipped, kTile}, false);
  });
}
// Whether the products may read all of `rows` although some of what they multiply is hidden: a weight of 0 hides no NaN
// and no infinity.
HWY_INLINE bool may_multiply(const ScoreContext& context, const Tile& tile, Rows<const float> rows,
                             std::int64_t count, std::int64_t columns) {
  return !context.hides_some(tile) || all_finite(rows, count, columns);
}
// y += weight b
HWY_INLINE void add_weighted(float weight, const float* b, float* y, std::int64_t columns) {
  map(y, b, y, columns, [w = set(weight)](Vec sum, Vec x) HWY_ATTR { return hn::MulAdd(w, x, sum); });
}

// y_i (+)= sum over j of weights[j][i] b_j
HWY_INLINE void query_product(const ScoreContext& context, const Tile& tile, const float* weights,
                              Rows<const float> b, Rows<float> y, bool add) {
  const std::int64_t head_dim = context.shape.head_dim;
  if (!may_multiply(context, tile, b, tile.keys, head_dim)) {
    for (std::int64_t i = 0; i < tile.queries; ++i) {
      if (!add) std::fill_n(from_row(y, i).data, head_dim, 0.0F);
      for (std::int64_t j = 0; j < tile.keys; ++j)
        if (context.sees(tile, i, j))
          add_weighted(weights[j * kTile + i], from_row(b, j).data, from_row(y, i).data, head_dim);
    }
    return;
  }
  for_each_strip(tile.queries, tile, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t seen = tile.diagonal ? std::min(tile.keys, first + count) : tile.keys;
    product(count, head_dim, seen, {weights + first, 1, kTile}, b, from_row(y, first), add);
  });
}
// y_j += sum over i of weights[j][i] b_i
HWY_INLINE void key_product(const ScoreContext& context, const Tile& tile, const float* weights,
                            Rows<const float> b, Rows<float> y) {
  const std::int64_t head_dim = context.shape.head_dim;
  if (!may_multiply(context, tile, b, tile.queries, head_dim)) {
    for (std::int64_t j = 0; j < tile.keys; ++j)
      for (std::int64_t i = 0; i < tile.queries; ++i)
        if (context.sees(tile, i, j))
          add_weighted(weights[j * kTile + i], from_row(b, i).data, from_row(y, j).data, head_dim);
    return;
  }
  for_each_strip(tile.keys, tile, [&](std::int64_t first, std::int64_t count) HWY_ATTR {
    const std::int64_t skipped = tile.diagonal ? std::min(first, tile.queries) : 0;
    product(count, head_dim, tile.queries - skipped, {weights + first * kTile + skipped, kTile, 1},
            from_row(b, skipped), from_row(y, first), true);
  });
}

// What one head of one batch entry reads and writes, in f32.
struct ForwardHead {
  Rows<const float> q, k, v;
  Rows<float> y;
  float* lse;
};
struct BackwardHead {
  Rows<const float> q, k, v, dy, y;
  const float* lse;
  Rows<float> dq, dk, dv;  // data is null where one is not wanted
};

HWY_INLINE void forward_tile(const ScoreContext& context, const ForwardHead& head, std::int64_t q0,
                             std::byte* scratch) {
  const AttentionShape& s = context.shape;
  const std::int64_t n = lanes(), queries = std::min(kTile, s.queries - q0);
  auto* q = reinterpret_cast<float*>(scratch);
  float *scores = q + s.head_dim * kTile, *sum = scores + kTile * kTile, *highest = sum + s.head_dim * kTile,
        *total = highest + kTile, *correction = total + kTile;
  const std::int64_t width = (queries + n - 1) / n * n;
  const Scaled scaled = {static_cast<float>(context.settings.scale)};
  transpose(from_row(head.q, q0), queries, s.head_dim, scaled, {q, kTile}, width);
  std::fill(highest, highest + kTile, -std::numeric_limits<float>::infinity());
  std::fill(total, total + kTile, 0.0F);
  std::fill(sum, sum + kTile * s.head_dim, 0.0F);
  for_each_seen_tile(context, q0, width, kStrip, [&](const Tile& tile) HWY_ATTR {
    const std::int64_t k0 = tile.first_key;
    score_product(tile, s.head_dim, from_row(head.k, k0), q, scores);
    hide(context, tile, scores);
    add_to_softmax(tile, scores, highest, total, correction);
    drop_out(context, tile, scores);
    if (k0 > 0)
      for (std::int64_t i = 0; i < queries; ++i)
        map(sum + i * s.head_dim, sum + i * s.head_dim, s.head_dim,
            [c = correction[i]](Vec x) HWY_ATTR { return hn::Mul(x, set(c)); });
    query_product(context, tile, scores, from_row(head.v, k0), {sum, s.head_dim}, true);
  });
  for (std::int64_t i = 0; i < queries; ++i) {
    const float divided = total[i] == 0 ? 0.0F : 1 / total[i];
    map(sum + i * s.head_dim, from_row(head.y, q0 + i).data, s.head_dim,
        [=](Vec x) HWY_ATTR { return hn::Mul(x, set(divided)); });
    head.lse[q0 + i] = highest[i] + std::log(total[i]);
  }
}

// dq is written, dk and dv are added to.
HWY_INLINE void backward_head(const ScoreContext& context, const BackwardHead& head, std::byte* scratch) {
  const AttentionShape& s = context.shape;
  const std::int64_t n = lanes();
  const Scaled scaled = {static_cast<float>(context.settings.scale)};
  auto* q_transposed = reinterpret_cast<float*>(scratch);
  float *dy_transposed = q_transposed + s.head_dim * kTile, *weights = dy_transposed + s.head_dim * kTile,
        *gradients = weights + kTile * kTile, *lse = gradients + kTile * kTile, *delta = lse + kTile;
  for (std::int64_t q0 = 0; q0 < s.queries; q0 += kTile) {
    const std::int64_t queries = std::min(kTile, s.queries - q0), width = (queries + n - 1) / n * n;
    transpose(from_row(head.q, q0), queries, s.head_dim, scaled, {q_transposed, kTile}, width);
    transpose(from_row(head.dy, q0), queries, s.head_dim, Unchanged(), {dy_transposed, kTile}, width);
    read_row_terms(s, q0, head.dy, head.y, head.lse, lse, delta);
    for_each_seen_tile(context, q0, width, kStrip, [&](const Tile& tile) HWY_ATTR {
      const std::int64_t k0 = tile.first_key;
      score_product(tile, s.head_dim, from_row(head.k, k0), q_transposed, weights);
      score_product(tile, s.head_dim, from_row(head.v, k0), dy_transposed, gradients);
      hide(context, tile, weights);
      score_gradients(context, tile, weights, gradients, lse, delta);
      if (head.dv.data) key_product(context, tile, weights, from_row(head.dy, q0), from_row(head.dv, k0));
      if (head.dk.data) key_product(context, tile, gradients, from_row(head.q, q0), from_row(head.dk, k0));
      if (head.dq.data)
        query_product(context, tile, gradients, from_row(head.k, k0), from_row(head.dq, q0), k0 > 0);
    });
    if (head.dq.data && s.keys == 0)
      for (std::int64_t i = q0; i < q0 + queries; ++i)
        std::fill_n(from_row(head.dq, i).data, s.head_dim, 0.0F);
  }
}

HWY_INLINE void clear(Rows<float> rows, std::int64_t count, std::int64_t columns) {
  for (std::int64_t j = 0; rows.data && j < count; ++j) std::fill_n(from_row(rows, j).data, columns, 0.0F);
}

// f32: everything is read and written where it lies.

void attention(const AttentionArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const std::int64_t tiles = tile_count(s.queries);
  for_each_with_scratch(s.batch * s.heads * tiles, forward_scratch(s.head_dim), workspace,
                        [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                          const std::int64_t h = item / tiles % s.heads, b = item / tiles / s.heads,
                                             key_head = h / (s.heads / s.key_heads);
                          const ForwardHead head = {head_rows<float>(args.q, s, s.queries, b, h),
                                                    head_rows<float>(args.k, s, s.keys, b, key_head),
                                                    head_rows<float>(args.v, s, s.keys, b, key_head),
                                                    head_rows<float>(whole(args.y, s), s, s.queries, b, h),
                                                    args.lse.as<float>() + (b * s.heads + h) * s.queries};
                          forward_tile(ScoreContext(s, args.settings, args.mask, b, h), head,
                                       balanced(item % tiles, tiles) * kTile, scratch);
                        });
}

void attention_backward(const AttentionBackwardArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const std::int64_t group = s.heads / s.key_heads;
  for_each_with_scratch(s.batch * s.key_heads, backward_scratch(s.head_dim), workspace,
                        [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                          const std::int64_t b = item / s.key_heads, key_head = item % s.key_heads;
                          const Rows<float> dk = head_rows<float>(args.dk, s, s.keys, b, key_head),
                                            dv = head_rows<float>(args.dv, s, s.keys, b, key_head);
                          clear(dk, s.keys, s.head_dim);
                          clear(dv, s.keys, s.head_dim);
                          for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
                            const BackwardHead head = {
                                head_rows<float>(args.q, s, s.queries, b, h),
                                head_rows<float>(args.k, s, s.keys, b, key_head),
                                head_rows<float>(args.v, s, s.keys, b, key_head),
                                head_rows<float>(whole(args.dy, s), s, s.queries, b, h),
                                head_rows<float>(whole(args.y, s), s, s.queries, b, h),
                                args.lse.as<float>() + (b * s.heads + h) * s.queries,
                                head_rows<float>(args.dq, s, s.queries, b, h),
                                dk,
                                dv};
                            backward_head(ScoreContext(s, args.settings, args.mask, b, h), head, scratch);
                          }
                        });
}

// bf16 where there is no pair product: a head's rows are copied into f32 scratch, and what is made there is rounded.

HWY_INLINE Rows<const float> widened(Rows<const BFloat16> from, std::int64_t count, std::int64_t columns,
                                     float*& scratch) {
  float* to = scratch;
  scratch += count * columns;
  for (std::int64_t i = 0; i < count; ++i)
    map(from_row(from, i).data, to + i * columns, columns, [](Vec x) HWY_ATTR { return x; });
  return {to, columns};
}
HWY_INLINE Rows<float> reserved(bool wanted, std::int64_t count, std::int64_t columns, float*& scratch) {
  float* to = scratch;
  scratch += count * columns;
  return {wanted ? to : nullptr, columns};
}

void attention_bf16(const AttentionArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const std::int64_t group = s.heads / s.key_heads;
  for_each_with_scratch(
      s.batch * s.key_heads, forward_scratch_bf16(s), workspace,
      [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
        const std::int64_t b = item / s.key_heads, key_head = item % s.key_heads;
        float* copies = reinterpret_cast<float*>(scratch + forward_scratch(s.head_dim));
        ForwardHead head = {};
        head.k = widened(head_rows<BFloat16>(args.k, s, s.keys, b, key_head), s.keys, s.head_dim, copies);
        head.v = widened(head_rows<BFloat16>(args.v, s, s.keys, b, key_head), s.keys, s.head_dim, copies);
        for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
          float* rest = copies;
          head.q = widened(head_rows<BFloat16>(args.q, s, s.queries, b, h), s.queries, s.head_dim, rest);
          head.y = reserved(true, s.queries, s.head_dim, rest);
          head.lse = args.lse.as<float>() + (b * s.heads + h) * s.queries;
          const ScoreContext context(s, args.settings, args.mask, b, h);
          for (std::int64_t q0 = 0; q0 < s.queries; q0 += kTile) forward_tile(context, head, q0, scratch);
          round_rows(head.y, s.queries, s.head_dim,
                     head_rows<BFloat16>(whole(args.y, s), s, s.queries, b, h));
        }
      });
}

void attention_backward_bf16(const AttentionBackwardArgs& args, std::span<std::byte> workspace) {
  const AttentionShape& s = args.shape;
  const std::int64_t group = s.heads / s.key_heads;
  for_each_with_scratch(
      s.batch * s.key_heads, backward_scratch_bf16(s), workspace,
      [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
        const std::int64_t b = item / s.key_heads, key_head = item % s.key_heads;
        float* copies = reinterpret_cast<float*>(scratch + backward_scratch(s.head_dim));
        BackwardHead head = {};
        head.k = widened(head_rows<BFloat16>(args.k, s, s.keys, b, key_head), s.keys, s.head_dim, copies);
        head.v = widened(head_rows<BFloat16>(args.v, s, s.keys, b, key_head), s.keys, s.head_dim, copies);
        head.dk = reserved(args.dk.values.info != nullptr, s.keys, s.head_dim, copies);
        head.dv = reserved(args.dv.values.info != nullptr, s.keys, s.head_dim, copies);
        clear(head.dk, s.keys, s.head_dim);
        clear(head.dv, s.keys, s.head_dim);
        for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
          float* rest = copies;
          head.q = widened(head_rows<BFloat16>(args.q, s, s.queries, b, h), s.queries, s.head_dim, rest);
          head.dy = widened(head_rows<BFloat16>(whole(args.dy, s), s, s.queries, b, h), s.queries, s.head_dim,
                            rest);
          head.y =
              widened(head_rows<BFloat16>(whole(args.y, s), s, s.queries, b, h), s.queries, s.head_dim, rest);
          head.dq = reserved(args.dq.values.info != nullptr, s.queries, s.head_dim, rest);
          head.lse = args.lse.as<float>() + (b * s.heads + h) * s.queries;
          backward_head(ScoreContext(s, args.settings, args.mask, b, h), head, scratch);
          round_rows(head.dq, s.queries, s.head_dim, head_rows<BFloat16>(args.dq, s, s.queries, b, h));
        }
        round_rows(head.dk, s.keys, s.head_dim, head_rows<BFloat16>(args.dk, s, s.keys, b, key_head));
        round_rows(head.dv, s.keys, s.head_dim, head_rows<BFloat16>(args.dv, s, s.keys, b, key_head));
      });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/dnnl_operation.h"
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(attention);
HWY_EXPORT(attention_backward);
HWY_EXPORT(attention_bf16);
HWY_EXPORT(attention_backward_bf16);

namespace {

std::size_t attention_workspace(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.heads * tile_count(s.queries), forward_scratch(s.head_dim));
}
std::size_t attention_backward_workspace(const AttentionBackwardArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.key_heads, backward_scratch(s.head_dim));
}

std::size_t attention_bf16_workspace(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.key_heads, forward_scratch_bf16(s));
}
std::size_t attention_backward_bf16_workspace(const AttentionBackwardArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.key_heads, backward_scratch_bf16(s));
}

}  // namespace

void fill_fast_attention() {
  fill(attention_slot, HWY_DYNAMIC_DISPATCH(attention), attention_workspace);
  fill(attention_backward_slot, HWY_DYNAMIC_DISPATCH(attention_backward), attention_backward_workspace);
  if (computing_dtype(DType::bf16) == DType::bf16 && !pair_products().empty())
    return fill_attention_of_pairs();
  attention_slot.fill(Device::CPU, DType::bf16,
                      {HWY_DYNAMIC_DISPATCH(attention_bf16), attention_bf16_workspace});
  attention_backward_slot.fill(
      Device::CPU, DType::bf16,
      {HWY_DYNAMIC_DISPATCH(attention_backward_bf16), attention_backward_bf16_workspace});
}

}  // namespace reprise::cpu
#endif
