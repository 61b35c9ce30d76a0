#include "reprise/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reprise/cpu/attention_mask.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/thread_scratch.h"

namespace reprise::cpu {
namespace {

// Values of 16 bits are read into f32, computed in f32, and rounded when they are written.
template <class T>
struct ComputesIn {
  using type = T;
};
template <>
struct ComputesIn<BFloat16> {
  using type = float;
};
template <>
struct ComputesIn<Float16> {
  using type = float;
};
template <class T>
using Number = typename ComputesIn<T>::type;

float read(BFloat16 x) { return to_float(x); }
float read(Float16 x) { return to_float(x); }
float read(float x) { return x; }
double read(double x) { return x; }
void write(BFloat16& to, float x) { to = to_bfloat16(x); }
void write(Float16& to, float x) { to = to_float16(x); }
void write(float& to, float x) { to = x; }
void write(double& to, double x) { to = x; }

template <class T>
Number<T> dot(const T* a, const T* b, std::int64_t count) {
  Number<T> sum = 0;
  for (std::int64_t d = 0; d < count; ++d) sum += read(a[d]) * read(b[d]);
  return sum;
}

// The row of head h at a position of batch entry b.
template <class T>
const T* row_of(const HeadRows<ConstView>& rows, const AttentionShape& s, std::int64_t positions,
                std::int64_t b, std::int64_t h, std::int64_t position) {
  return rows.values.as<T>() + (b * positions + position) * rows.row + rows.first + h * s.head_dim;
}
template <class T>
T* row_of(const HeadRows<View>& rows, const AttentionShape& s, std::int64_t positions, std::int64_t b,
          std::int64_t h, std::int64_t position) {
  return rows.values.as<T>() + (b * positions + position) * rows.row + rows.first + h * s.head_dim;
}

// What one head of one batch entry computes with. Args: forward's or backward's.
template <class T, class Args>
struct Head {
  using N = Number<T>;
  const Args& args;
  std::int64_t b, h, key_head;
  HeadMask mask;

  Head(const Args& a, std::int64_t batch_entry, std::int64_t head)
      : args(a),
        b(batch_entry),
        h(head),
        key_head(head / (a.shape.heads / a.shape.key_heads)),
        mask(a.mask, a.shape, batch_entry, head) {}

  const T* q(std::int64_t i) const { return row_of<T>(args.q, args.shape, args.shape.queries, b, h, i); }
  const T* k(std::int64_t j) const { return row_of<T>(args.k, args.shape, args.shape.keys, b, key_head, j); }
  const T* v(std::int64_t j) const { return row_of<T>(args.v, args.shape, args.shape.keys, b, key_head, j); }

  // Query i sees some of the first `seen(i)` keys.
  std::int64_t seen(std::int64_t i) const {
    return args.settings.causal ? std::min(args.shape.keys, i + 1) : args.shape.keys;
  }
  // Minus infinity if the mask hides key j, whatever the key holds.
  N score(std::int64_t i, std::int64_t j) const {
    const N added = of_mask(i, j);
    if (added == -std::numeric_limits<N>::infinity()) return added;
    return static_cast<N>(args.settings.scale) * dot(q(i), k(j), args.shape.head_dim) + added;
  }
  // The number that the mask adds to the score.
  N of_mask(std::int64_t i, std::int64_t j) const {
    if (!args.mask.info) return 0;
    const std::int64_t at = mask.first + i * mask.query + j * mask.key;
    if (args.mask.info->dtype != DType::boolean) return args.mask.template as<N>()[at];
    return args.mask.template as<bool>()[at] ? 0 : -std::numeric_limits<N>::infinity();
  }
  // The factor that dropout gives the weight.
  N factor(std::int64_t i, std::int64_t j) const {
    const AttentionSettings& settings = args.settings;
    if (settings.dropout == 0) return 1;
    const std::uint64_t word =
        first_word(args.shape, settings.random, b, h, i) + static_cast<std::uint64_t>(j);
    const bool kept =
        uniform_from_word(random_word(settings.random.seed, word)) >= static_cast<float>(settings.dropout);
    return kept ? static_cast<N>(1 / (1 - settings.dropout)) : 0;
  }
};

// One row of y at a time: the weighted sum of v is kept with the highest score so far taken out of its exponents, and
// scaled anew when a higher one comes.
template <class T>
void attention(const AttentionArgs& args, std::span<std::byte> workspace) {
  using N = Number<T>;
  const AttentionShape& s = args.shape;
  const std::size_t bytes = static_cast<std::size_t>(s.head_dim) * sizeof(N);
  for_each_with_scratch(
      s.batch * s.heads * s.queries, bytes, workspace, [&](std::int64_t row, std::byte* scratch) {
        const std::int64_t i = row % s.queries, h = row / s.queries % s.heads, b = row / s.queries / s.heads;
        const Head<T, AttentionArgs> head(args, b, h);
        N* sum = reinterpret_cast<N*>(scratch);
        std::fill(sum, sum + s.head_dim, N{0});
        N highest = -std::numeric_limits<N>::infinity(), total = 0;
        for (std::int64_t j = 0; j < head.seen(i); ++j) {
          const N score = head.score(i, j);
          if (score == -std::numeric_limits<N>::infinity()) continue;
          if (score > highest) {
            const N correction = std::exp(highest - score);
            total *= correction;
            for (std::int64_t d = 0; d < s.head_dim; ++d) sum[d] *= correction;
            highest = score;
          }
          const N weight = std::exp(score - highest);
          total += weight;
          const N kept = weight * head.factor(i, j);
          const T* v = head.v(j);
          for (std::int64_t d = 0; d < s.head_dim; ++d) sum[d] += kept * read(v[d]);
        }
        T* y = args.y.as<T>() + ((b * s.queries + i) * s.heads + h) * s.head_dim;
        for (std::int64_t d = 0; d < s.head_dim; ++d) write(y[d], total == 0 ? N{0} : sum[d] / total);
        args.lse.as<N>()[row] = highest + std::log(total);
      });
}

template <class T>
std::size_t attention_workspace(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  return scratch_workspace(s.batch * s.heads * s.queries,
                           static_cast<std::size_t>(s.head_dim) * sizeof(Number<T>));
}

// The gradient of one weight's score, times the scale of q k^T; and the weight as forward used it. If the key is hidden,
// nothing of its row may be read.
template <class N>
struct WeightGradient {
  N score, kept;
  bool hidden;
};

template <class T>
struct BackwardHead : Head<T, AttentionBackwardArgs> {
  using N = Number<T>;
  using Head<T, AttentionBackwardArgs>::Head;

  const T* dy(std::int64_t i) const { return row(this->args.dy, i); }
  const T* y(std::int64_t i) const { return row(this->args.y, i); }

  // delta: sum(dy y) of row i
  WeightGradient<N> gradient(std::int64_t i, std::int64_t j, N delta) const {
    const AttentionShape& s = this->args.shape;
    const N lse = this->args.lse.template as<N>()[(this->b * s.heads + this->h) * s.queries + i];
    const N score = this->score(i, j);
    if (score == -std::numeric_limits<N>::infinity()) return {0, 0, true};
    const N weight = std::exp(score - lse), factor = this->factor(i, j);
    const N of_weight = factor * dot(dy(i), this->v(j), s.head_dim) - delta;
    return {static_cast<N>(this->args.settings.scale) * weight * of_weight, weight * factor, false};
  }

 private:
  const T* row(const ConstView& view, std::int64_t i) const {
    const AttentionShape& s = this->args.shape;
    return view.as<T>() + ((this->b * s.queries + i) * s.heads + this->h) * s.head_dim;
  }
};

// Rows of dq, then rows of dk and dv, each the sum of what its partners give.
template <class T>
void attention_backward(const AttentionBackwardArgs& args, std::span<std::byte> workspace) {
  using N = Number<T>;
  const AttentionShape& s = args.shape;
  const std::size_t bytes = 2 * static_cast<std::size_t>(s.head_dim) * sizeof(N);
  const auto write_row = [&](const HeadRows<View>& rows, std::int64_t positions, std::int64_t b,
                             std::int64_t h, std::int64_t position, const N* sum) {
    if (!rows.values.info) return;
    T* to = row_of<T>(rows, s, positions, b, h, position);
    for (std::int64_t d = 0; d < s.head_dim; ++d) write(to[d], sum[d]);
  };
  if (args.dq.values.info)
    for_each_with_scratch(s.batch * s.heads * s.queries, bytes, workspace,
                          [&](std::int64_t row, std::byte* scratch) {
                            const std::int64_t i = row % s.queries, h = row / s.queries % s.heads,
                                               b = row / s.queries / s.heads;
                            const BackwardHead<T> head(args, b, h);
                            const N delta = dot(head.dy(i), head.y(i), s.head_dim);
                            N* dq = reinterpret_cast<N*>(scratch);
                            std::fill(dq, dq + s.head_dim, N{0});
                            for (std::int64_t j = 0; j < head.seen(i); ++j) {
                              const auto [score, kept, hidden] = head.gradient(i, j, delta);
                              if (hidden) continue;
                              const T* k = head.k(j);
                              for (std::int64_t d = 0; d < s.head_dim; ++d) dq[d] += score * read(k[d]);
                            }
                            write_row(args.dq, s.queries, b, h, i, dq);
                          });
  if (!args.dk.values.info && !args.dv.values.info) return;
  for_each_with_scratch(s.batch * s.key_heads * s.keys, bytes, workspace,
                        [&](std::int64_t row, std::byte* scratch) {
                          const std::int64_t j = row % s.keys, key_head = row / s.keys % s.key_heads,
                                             b = row / s.keys / s.key_heads, group = s.heads / s.key_heads;
                          N *dk = reinterpret_cast<N*>(scratch), *dv = dk + s.head_dim;
                          std::fill(dk, dk + 2 * s.head_dim, N{0});
                          for (std::int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
                            const BackwardHead<T> head(args, b, h);
                            for (std::int64_t i = args.settings.causal ? j : 0; i < s.queries; ++i) {
                              const T *q = head.q(i), *dy = head.dy(i);
                              const auto gradient = head.gradient(i, j, dot(dy, head.y(i), s.head_dim));
                              if (gradient.hidden) continue;
                              for (std::int64_t d = 0; d < s.head_dim; ++d) {
                                dk[d] += gradient.score * read(q[d]);
                                dv[d] += gradient.kept * read(dy[d]);
                              }
                            }
                          }
                          write_row(args.dk, s.keys, b, key_head, j, dk);
                          write_row(args.dv, s.keys, b, key_head, j, dv);
                        });
}

template <class T>
std::size_t attention_backward_workspace(const AttentionBackwardArgs& args) {
  const AttentionShape& s = args.shape;
  const std::int64_t items = s.batch * std::max(s.heads * s.queries, s.key_heads * s.keys);
  return scratch_workspace(items, 2 * static_cast<std::size_t>(s.head_dim) * sizeof(Number<T>));
}

template <class T>
void fill() {
  attention_slot.fill_plain(dtype_of<T>, {attention<T>, attention_workspace<T>});
  attention_backward_slot.fill_plain(dtype_of<T>, {attention_backward<T>, attention_backward_workspace<T>});
}

}  // namespace

void fill_attention() {
  fill<float>();
  fill<double>();
  fill<BFloat16>();
  fill<Float16>();
}

}  // namespace reprise::cpu
