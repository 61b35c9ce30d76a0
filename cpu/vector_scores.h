// What happens to a tile of attention's scores, [key][query], between its products: masks, softmax, dropout, gradients.
// Compiled once for each instruction set, like vector_math.h.
#if defined(REPRISE_CPU_VECTOR_SCORES_H) == defined(HWY_TARGET_TOGGLE)
#ifdef REPRISE_CPU_VECTOR_SCORES_H
#undef REPRISE_CPU_VECTOR_SCORES_H
#else
#define REPRISE_CPU_VECTOR_SCORES_H
#endif

#include <limits>

#include "reprise/cpu/attention_tiles.h"
#include "reprise/cpu/vector_random.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// exp(x) of what is hardly above 0; 0 below -87. Relative error below 2e-7; NaN stays.
HWY_INLINE Vec exp_of_difference(Vec x) {
  return hn::IfThenZeroElse(hn::Lt(x, set(-87)), exp_within_range(hn::Max(set(-88), x)));
}

// Scores of keys that a query does not see become minus infinity, others get what the mask adds.
HWY_INLINE void hide(const ScoreContext& context, const Tile& tile, float* scores) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  if (tile.diagonal) {
    const Vec numbers = hn::Iota(F32(), 0);
    for (std::int64_t j = 0; j < tile.keys; ++j)
      for (std::int64_t i = 0; i < std::min(tile.width, j); i += lanes()) {
        const auto seen = hn::Ge(hn::Add(numbers, set(static_cast<float>(i))), set(static_cast<float>(j)));
        store(hn::IfThenElse(seen, load(scores + j * kTile + i), set(kLowest)), scores + j * kTile + i);
      }
  }
  if (!context.mask_values.info) return;
  const bool boolean = context.mask_values.info->dtype == DType::boolean;
  for (std::int64_t j = 0; j < tile.keys; ++j)
    for (std::int64_t i = 0; i < tile.queries; ++i) {
      const std::int64_t at = context.mask.first + (tile.first_query + i) * context.mask.query +
                              (tile.first_key + j) * context.mask.key;
      float& score = scores[j * kTile + i];
      if (boolean) {
        if (!context.mask_values.as<bool>()[at]) score = kLowest;
      } else {
        const float added = context.mask_values.as<float>()[at];
        score = added == kLowest ? kLowest : score + added;  // a hidden key may be NaN
      }
    }
}

// scores becomes exp(score - highest), highest and total (of each query) take it in; correction is what the sums so far
// are to be multiplied with.
HWY_INLINE void add_to_softmax(const Tile& tile, float* scores, float* highest, float* total,
                               float* correction) {
  const Vec lowest = set(-std::numeric_limits<float>::infinity());
  for (std::int64_t i = 0; i < tile.width; i += lanes()) {
    Vec top = load(highest + i);
    for (std::int64_t j = 0; j < tile.keys; ++j) top = hn::Max(top, load(scores + j * kTile + i));
    // Nothing seen yet: any number does for what is subtracted.
    const Vec subtracted = hn::IfThenZeroElse(hn::Eq(top, lowest), top);
    const Vec scale = exp_of_difference(hn::Sub(load(highest + i), subtracted));
    Vec sum = hn::Zero(F32());
    for (std::int64_t j = 0; j < tile.keys; ++j) {
      const Vec weight = exp_of_difference(hn::Sub(load(scores + j * kTile + i), subtracted));
      store(weight, scores + j * kTile + i);
      sum = hn::Add(sum, weight);
    }
    store(scale, correction + i);
    store(hn::MulAdd(load(total + i), scale, sum), total + i);
    store(top, highest + i);
  }
}

// Calls body(j, i, kept) for vectors of the tile: which lanes' weights dropout keeps. Four keys share a block of words.
template <class Body>
HWY_INLINE void for_each_draw(const ScoreContext& context, const Tile& tile, Body body) {
  const AttentionSettings& settings = context.settings;
  const std::uint64_t blocks_per_query = static_cast<std::uint64_t>((context.shape.keys + 3) / 4);
  const Vec p = set(static_cast<float>(settings.dropout));
  for (std::int64_t j = 0; j < tile.keys; j += 4)
    for (std::int64_t i = tile.first_computed(j); i < tile.width; i += lanes()) {
      Words words[4];
      const std::uint64_t word =
          first_word(context.shape, settings.random, context.b, context.h, tile.first_query + i) +
          static_cast<std::uint64_t>(tile.first_key + j);
      philox_blocks(settings.random.seed, word / 4, blocks_per_query, words);
      for (std::int64_t k = 0; k < std::min<std::int64_t>(4, tile.keys - j); ++k)
        body(j + k, i, kept(words[k], p));
    }
}

HWY_INLINE void drop_out(const ScoreContext& context, const Tile& tile, float* weights) {
  if (context.settings.dropout == 0) return;
  const Vec scale = set(static_cast<float>(1 / (1 - context.settings.dropout)));
  for_each_draw(context, tile, [&](std::int64_t j, std::int64_t i, auto is_kept) HWY_ATTR {
    float* at = weights + j * kTile + i;
    store(hn::IfThenElseZero(is_kept, hn::Mul(load(at), scale)), at);
  });
}

// exp(score - lse), and 0 for a hidden key, whatever the row's lse is.
HWY_INLINE Vec weight_of(Vec score, Vec lse) {
  const auto hidden = hn::Eq(score, set(-std::numeric_limits<float>::infinity()));
  return hn::IfThenZeroElse(hidden, exp_of_difference(hn::Sub(score, lse)));
}
// The gradient of a score. A hidden key gets 0, also if its value is NaN.
HWY_INLINE Vec score_gradient(Vec score, Vec gradient) {
  const auto hidden = hn::Eq(score, set(-std::numeric_limits<float>::infinity()));
  return hn::IfThenZeroElse(hidden, gradient);
}

// weights: scores; becomes the weights as forward used them. gradients: dy v^T; becomes the gradients of q k^T.
HWY_INLINE void score_gradients(const ScoreContext& context, const Tile& tile, float* weights,
                                float* gradients, const float* lse, const float* delta) {
  const Vec scale = set(static_cast<float>(context.settings.scale));
  const bool drops = context.settings.dropout != 0;
  if (drops) {
    const Vec factor = set(static_cast<float>(1 / (1 - context.settings.dropout)));
    for_each_draw(context, tile, [&](std::int64_t j, std::int64_t i, auto is_kept) HWY_ATTR {
      const std::int64_t at = j * kTile + i;
      const Vec score = load(weights + at), p = weight_of(score, load(lse + i));
      const Vec dp = hn::IfThenElseZero(is_kept, hn::Mul(load(gradients + at), factor));
      store(hn::IfThenElseZero(is_kept, hn::Mul(p, factor)), weights + at);
      const Vec gradient = hn::Mul(hn::Mul(p, scale), hn::Sub(dp, load(delta + i)));
      store(score_gradient(score, gradient), gradients + at);
    });
    return;
  }
  for (std::int64_t j = 0; j < tile.keys; ++j)
    for (std::int64_t i = tile.first_computed(j); i < tile.width; i += lanes()) {
      const std::int64_t at = j * kTile + i;
      const Vec score = load(weights + at), p = weight_of(score, load(lse + i));
      store(p, weights + at);
      const Vec gradient = hn::Mul(hn::Mul(p, scale), hn::Sub(load(gradients + at), load(delta + i)));
      store(score_gradient(score, gradient), gradients + at);
    }
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
