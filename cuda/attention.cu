// Attention without the matrix of weights. A warp computes one row: of y and dq for a query, of dk and dv for a key. It goes
// through the row's partners 32 at a time: each lane has the weight of one of them, then the lanes share out the elements of
// the head.
#include "reprise/cuda/attention_kernels.h"
#include "reprise/cuda/philox.cuh"
#include "reprise/cuda/reduce.cuh"
#include "reprise/ops/strides.h"

namespace reprise::cuda {
namespace {

constexpr int kLaneElements = 4;                           // of a head, in a lane's registers
constexpr std::int64_t kHeadPart = kLaneElements * kWarp;  // of a wider head, so much is computed at once
constexpr unsigned kBlock = 128;

// q, k, v or a gradient of one (HeadRows), or dy or y.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t positions = 0, row = 0, head_dim = 0;
  __device__ T* at(std::int64_t b, std::int64_t position, std::int64_t h) const {
    return data + (b * positions + position) * row + h * head_dim;
  }
};

struct Mask {
  const void* data = nullptr;
  bool boolean = false;
  std::int64_t strides[4] = {};
};

// What forward and backward share.
template <class T>
struct Problem {
  using C = Computed<T>;
  AttentionShape s;
  unsigned group;  // query heads that share a key head
  bool causal, drops;
  float dropout;
  C keep_factor, scale;
  DeviceRandom random;
  Rows<const T> q, k, v;
  Mask mask;

  // A query sees some of the first `seen` keys.
  __device__ std::int64_t seen(std::int64_t i) const { return causal && i + 1 < s.keys ? i + 1 : s.keys; }

  __device__ C dot(const T* a, const T* b) const {
    C sum = 0;
    for (std::int64_t d = 0; d < s.head_dim; ++d) sum += widen(a[d]) * widen(b[d]);
    return sum;
  }
  // Minus infinity if the mask hides key j. `key_head` serves head h.
  __device__ C score(std::int64_t b, std::int64_t h, std::int64_t key_head, std::int64_t i,
                     std::int64_t j) const {
    const C added = of_mask(b, h, i, j);  // a hidden key may be NaN
    return added == -INFINITY ? added : scale * dot(q.at(b, i, h), k.at(b, j, key_head)) + added;
  }
  // The number that the mask adds to the score.
  __device__ C of_mask(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    if (!mask.data) return 0;
    const std::int64_t at =
        b * mask.strides[0] + h * mask.strides[1] + i * mask.strides[2] + j * mask.strides[3];
    if (!mask.boolean) return static_cast<const C*>(mask.data)[at];
    return static_cast<const bool*>(mask.data)[at] ? C{0} : -INFINITY;
  }
  // The factor that dropout gives the weight.
  __device__ C factor(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    if (!drops) return 1;
    const std::int64_t row = (b * s.heads + h) * s.queries + i;
    const auto word = random.offset() + static_cast<std::uint64_t>(row * ((s.keys + 3) / 4 * 4) + j);
    return uniform_at(random.seed(), word) >= dropout ? keep_factor : C{0};
  }
};

// Adds weight x row(partner) for each of 32 partners that is seen; a lane adds elements lane, lane + 32, ... of the rows. A
// weight of 0 would not hide NaN and infinity in a row.
template <class T, class RowOf>
__device__ void add_weighted(Computed<T> (&sums)[kLaneElements], Computed<T> weight, bool seen,
                             std::int64_t part, std::int64_t head_dim, RowOf row_of) {
  const auto lane = static_cast<std::int64_t>(threadIdx.x % kWarp);
#pragma unroll 4  // more needs more registers than there are
  for (int t = 0; t < kWarp; ++t) {
    const Computed<T> shared_weight = __shfl_sync(~0U, weight, t);
    if (!__shfl_sync(~0U, static_cast<int>(seen), t)) continue;
    const T* row = row_of(t);
    for (int e = 0; e < kLaneElements; ++e) {
      const std::int64_t d = part + lane + e * kWarp;
      if (d < head_dim) sums[e] += shared_weight * widen(row[d]);
    }
  }
}

template <class T>
__device__ void write_part(const Computed<T> (&sums)[kLaneElements], Computed<T> factor, std::int64_t part,
                           std::int64_t head_dim, T* row) {
  const auto lane = static_cast<std::int64_t>(threadIdx.x % kWarp);
  for (int e = 0; e < kLaneElements; ++e) {
    const std::int64_t d = part + lane + e * kWarp;
    if (d < head_dim) row[d] = narrow<T>(sums[e] * factor);
  }
}

// Number `row` of [batch, heads, positions], taken apart. Divisions of 32 bits: those of 64 are calls, which spill registers.
struct Place {
  std::int64_t b, h, position;
  __device__ Place(std::int64_t row, std::int64_t heads, std::int64_t positions) {
    const auto number = static_cast<unsigned>(row), per_head = static_cast<unsigned>(positions);
    position = number % per_head;
    h = number / per_head % static_cast<unsigned>(heads);
    b = number / per_head / static_cast<unsigned>(heads);
  }
};

__device__ std::int64_t warp_number() { return thread_number() / kWarp; }

// With the highest score so far taken out of the exponents; sums are scaled anew when a higher one comes.
template <class T>
__global__ void __launch_bounds__(kBlock, 4) attend(Problem<T> p, Rows<T> y, Computed<T>* lse) {
  using C = Computed<T>;
  const std::int64_t row = warp_number(), lane = threadIdx.x % kWarp;
  const AttentionShape s = p.s;
  if (row >= s.batch * s.heads * s.queries) return;
  const auto [b, h, i] = Place(row, s.heads, s.queries);
  const std::int64_t key_head = static_cast<unsigned>(h) / p.group, seen = p.seen(i);
  for (std::int64_t part = 0; part < s.head_dim; part += kHeadPart) {
    C sums[kLaneElements] = {}, highest = -INFINITY, total = 0;
    for (std::int64_t first = 0; first < seen; first += kWarp) {
      const std::int64_t j = first + lane;
      const C score = j < seen ? p.score(b, h, key_head, i, j) : -INFINITY;
      const C higher = Greater{}(highest, reduce_warp(score, Greater{}));
      if (higher == -INFINITY) continue;
      const C correction = ::exp(highest - higher);
      const C weight = score == -INFINITY ? C{0} : ::exp(score - higher);
      highest = higher;
      total = total * correction + reduce_warp(weight, Add{});
      for (C& sum : sums) sum *= correction;
      const C kept = j < seen ? weight * p.factor(b, h, i, j) : C{0};
      add_weighted<T>(sums, kept, score != -INFINITY, part, s.head_dim,
                      [&](int t) { return p.v.at(b, first + t, key_head); });
    }
    write_part<T>(sums, total == 0 ? C{0} : 1 / total, part, s.head_dim, y.at(b, i, h));
    if (part == 0 && lane == 0) lse[row] = highest + ::log(total);
  }
}

// ---- backward: with p = exp(scale q k^T + mask - lse), r the dropout's factor, delta = sum(dy y) per row,
//   dv = (p r)^T dy,   ds = p (r (dy v^T) - delta),   dq = scale ds k,   dk = scale ds^T q

template <class T>
struct BackwardProblem : Problem<T> {
  using C = Computed<T>;
  Rows<const T> dy, y;
  const C* lse;
  const C* delta;  // of each row

  struct Gradient {
    C score, kept;  // times the scale of q k^T; the weight as forward used it
    bool seen;
  };
  __device__ Gradient gradient(std::int64_t b, std::int64_t h, std::int64_t key_head, std::int64_t i,
                               std::int64_t j) const {
    const AttentionShape& s = this->s;
    const std::int64_t row = (b * s.heads + h) * s.queries + i;
    const C score = this->score(b, h, key_head, i, j);
    if (score == -INFINITY) return {0, 0, false};
    const C weight = ::exp(score - lse[row]), factor = this->factor(b, h, i, j);
    const C of_weight = factor * this->dot(dy.at(b, i, h), this->v.at(b, j, key_head)) - delta[row];
    return {this->scale * weight * of_weight, weight * factor, true};
  }
};

template <class T>
__global__ void __launch_bounds__(kBlock, 4)
    find_delta(AttentionShape s, Rows<const T> dy, Rows<const T> y, Computed<T>* delta) {
  const std::int64_t row = warp_number();
  if (row >= s.batch * s.heads * s.queries) return;
  const auto [b, h, i] = Place(row, s.heads, s.queries);
  const T *gradient = dy.at(b, i, h), *result = y.at(b, i, h);
  Computed<T> sum = 0;
  for (std::int64_t d = threadIdx.x % kWarp; d < s.head_dim; d += kWarp)
    sum += widen(gradient[d]) * widen(result[d]);
  sum = reduce_warp(sum, Add{});
  if (threadIdx.x % kWarp == 0) delta[row] = sum;
}

template <class T>
__global__ void __launch_bounds__(kBlock, 4) attend_backward_queries(BackwardProblem<T> p, Rows<T> dq) {
  const std::int64_t row = warp_number(), lane = threadIdx.x % kWarp;
  const AttentionShape s = p.s;
  if (row >= s.batch * s.heads * s.queries) return;
  const auto [b, h, i] = Place(row, s.heads, s.queries);
  const std::int64_t key_head = static_cast<unsigned>(h) / p.group, seen = p.seen(i);
  for (std::int64_t part = 0; part < s.head_dim; part += kHeadPart) {
    Computed<T> sums[kLaneElements] = {};
    for (std::int64_t first = 0; first < seen; first += kWarp) {
      const std::int64_t j = first + lane;
      typename BackwardProblem<T>::Gradient gradient = {0, 0, false};
      if (j < seen) gradient = p.gradient(b, h, key_head, i, j);
      add_weighted<T>(sums, gradient.score, gradient.seen, part, s.head_dim,
                      [&](int t) { return p.k.at(b, first + t, key_head); });
    }
    write_part<T>(sums, 1, part, s.head_dim, dq.at(b, i, h));
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock, 4)
    attend_backward_keys(BackwardProblem<T> p, Rows<T> dk, Rows<T> dv) {
  const std::int64_t row = warp_number(), lane = threadIdx.x % kWarp;
  const AttentionShape s = p.s;
  if (row >= s.batch * s.key_heads * s.keys) return;
  const auto [b, key_head, j] = Place(row, s.key_heads, s.keys);
  for (std::int64_t part = 0; part < s.head_dim; part += kHeadPart) {
    Computed<T> of_k[kLaneElements] = {}, of_v[kLaneElements] = {};
    for (std::int64_t h = key_head * p.group; h < (key_head + 1) * p.group; ++h)
      for (std::int64_t first = p.causal ? j : 0; first < s.queries; first += kWarp) {
        const std::int64_t i = first + lane;
        typename BackwardProblem<T>::Gradient gradient = {0, 0, false};
        if (i < s.queries) gradient = p.gradient(b, h, key_head, i, j);
        add_weighted<T>(of_k, gradient.score, gradient.seen, part, s.head_dim,
                        [&](int t) { return p.q.at(b, first + t, h); });
        add_weighted<T>(of_v, gradient.kept, gradient.seen, part, s.head_dim,
                        [&](int t) { return p.dy.at(b, first + t, h); });
      }
    if (dk.data) write_part<T>(of_k, 1, part, s.head_dim, dk.at(b, j, key_head));
    if (dv.data) write_part<T>(of_v, 1, part, s.head_dim, dv.at(b, j, key_head));
  }
}

// ---- the host's side

template <class T, class V>
Rows<T> rows_of(const HeadRows<V>& rows, const AttentionShape& s, std::int64_t positions) {
  if (!rows.values.info) return {};
  return {rows.values.template as<std::remove_const_t<T>>() + rows.first, positions, rows.row, s.head_dim};
}
template <class T, class V>
Rows<T> rows_of(const V& view, const AttentionShape& s) {
  return {view.template as<std::remove_const_t<T>>(), s.queries, s.heads * s.head_dim, s.head_dim};
}

template <class T, class Args>
Problem<T> problem_of(const Args& args, const Context& context) {
  const AttentionShape& s = args.shape;
  const AttentionSettings& settings = args.settings;
  Problem<T> p = {};
  p.s = s;
  p.group = static_cast<unsigned>(s.heads / s.key_heads);
  p.causal = settings.causal;
  p.drops = settings.dropout != 0;
  p.dropout = static_cast<float>(settings.dropout);
  p.keep_factor = static_cast<Computed<T>>(1 / (1 - settings.dropout));
  p.scale = static_cast<Computed<T>>(settings.scale);
  p.random = device_random(context, settings.random);
  p.q = rows_of<const T>(args.q, s, s.queries);
  p.k = rows_of<const T>(args.k, s, s.keys);
  p.v = rows_of<const T>(args.v, s, s.keys);
  if (args.mask.info) {
    const Strides strides = broadcast_strides(args.mask.info->shape, {s.batch, s.heads, s.queries, s.keys});
    p.mask = {args.mask.data,
              args.mask.info->dtype == DType::boolean,
              {strides[0], strides[1], strides[2], strides[3]}};
  }
  return p;
}

template <class... Parameters, class... Arguments>
void launch_warps(const char* name, const Context& context, std::int64_t warps, void (*kernel)(Parameters...),
                  const Arguments&... arguments) {
  launch(name, context, divide_up(warps * kWarp, kBlock), kBlock, 0, kernel, arguments...);
}

}  // namespace

void run_attention_kernel(const AttentionArgs& args) {
  const AttentionShape& s = args.shape;
  const Context& context = use(args.y.info->device);
  with_any_floating(args.y.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_warps("attention", context, s.batch * s.heads * s.queries, attend<T>, problem_of<T>(args, context),
                 rows_of<T>(args.y, s), args.lse.as<Computed<T>>());
  });
}

void run_attention_backward_kernels(const AttentionBackwardArgs& args, void* delta) {
  const AttentionShape& s = args.shape;
  const Context& context = use(args.dy.info->device);
  const std::int64_t rows = s.batch * s.heads * s.queries;
  with_any_floating(args.dy.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    BackwardProblem<T> p = {problem_of<T>(args, context), rows_of<const T>(args.dy, s),
                            rows_of<const T>(args.y, s), args.lse.as<Computed<T>>(),
                            static_cast<Computed<T>*>(delta)};
    launch_warps("attention_backward", context, rows, find_delta<T>, s, p.dy, p.y,
                 static_cast<Computed<T>*>(delta));
    const Rows<T> dq = rows_of<T>(args.dq, s, s.queries), dk = rows_of<T>(args.dk, s, s.keys),
                  dv = rows_of<T>(args.dv, s, s.keys);
    if (dq.data) launch_warps("attention_backward", context, rows, attend_backward_queries<T>, p, dq);
    if (dk.data || dv.data)
      launch_warps("attention_backward", context, s.batch * s.key_heads * s.keys, attend_backward_keys<T>, p,
                   dk, dv);
  });
}

}  // namespace reprise::cuda
