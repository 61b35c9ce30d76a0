// softmax and log_softmax along the last dimension, vectorized along it; others go to the plain loops.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/softmax.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/softmax.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kGrain = 4096;  // elements worth a thread
inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

// The elements that a row sees; the others are masked.
template <class Args>
std::int64_t seen_by(const Args& args, std::int64_t row) {
  return args.causal_rows > 0 ? std::min(args.extent, row % args.causal_rows + 1) : args.extent;
}

// One row of `seen` elements.
HWY_INLINE void softmax_row(const float* x, float* y, std::int64_t seen, bool log) {
  const std::int64_t n = lanes();
  Vec highest = set(kLowest);
  std::int64_t i = 0;
  for (; i + n <= seen; i += n) highest = hn::Max(highest, load(x + i));
  if (i < seen) highest = hn::Max(highest, load_part(x + i, seen - i, kLowest));
  highest = set(max_of_lanes(highest));
  Vec total = hn::Zero(F32());
  for (i = 0; i + n <= seen; i += n) {
    const Vec value = exp(hn::Sub(load(x + i), highest));
    if (!log) store(value, y + i);
    total = hn::Add(total, value);
  }
  if (i < seen) {
    const Vec value = exp(hn::Sub(load_part(x + i, seen - i, kLowest), highest));
    if (!log) store_part(value, y + i, seen - i);
    total = hn::Add(total, value);
  }
  const float sum = sum_of_lanes(total);
  if (log) {
    const Vec log_sum = set(std::log(sum));
    map(x, y, seen, [=](Vec v) HWY_ATTR { return hn::Sub(hn::Sub(v, highest), log_sum); });
  } else {
    const Vec scale = set(1 / sum);
    map(y, y, seen, [=](Vec v) HWY_ATTR { return hn::Mul(v, scale); });
  }
}

void softmax(const SoftmaxArgs& args, std::span<std::byte> workspace) {
  if (args.inner != 1 || args.extent == 0) return run_plain(softmax_slot, args, workspace);
  parallel_for(args.outer, kGrain / args.extent + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t seen = seen_by(args, row);
      float* y = args.y.as<float>() + row * args.extent;
      softmax_row(args.x.as<float>() + row * args.extent, y, seen, args.log);
      std::fill(y + seen, y + args.extent, 0.0F);
    }
  });
}

void softmax_backward(const SoftmaxBackwardArgs& args, std::span<std::byte> workspace) {
  if (args.inner != 1 || args.extent == 0) return run_plain(softmax_backward_slot, args, workspace);
  const std::int64_t n = lanes();
  parallel_for(args.outer, kGrain / args.extent + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t seen = seen_by(args, row);
      const float* dy = args.dy.as<float>() + row * args.extent;
      const float* y = args.y.as<float>() + row * args.extent;
      Vec sum = hn::Zero(F32());
      std::int64_t i = 0;
      for (; i + n <= seen; i += n)
        sum = args.log ? hn::Add(sum, load(dy + i)) : hn::MulAdd(load(dy + i), load(y + i), sum);
      if (i < seen) {
        const Vec last = load_part(dy + i, seen - i);
        sum = args.log ? hn::Add(sum, last) : hn::MulAdd(last, load_part(y + i, seen - i), sum);
      }
      const Vec total = set(sum_of_lanes(sum));
      float* dx = args.dx.as<float>() + row * args.extent;
      if (args.log)
        map(dy, y, dx, seen, [=](Vec g, Vec v) HWY_ATTR { return hn::NegMulAdd(exp(v), total, g); });
      else
        map(dy, y, dx, seen, [=](Vec g, Vec v) HWY_ATTR { return hn::Mul(v, hn::Sub(g, total)); });
      std::fill(dx + seen, dx + args.extent, 0.0F);
    }
  });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(softmax);
HWY_EXPORT(softmax_backward);

void fill_fast_softmax() {
  fill(softmax_slot, HWY_DYNAMIC_DISPATCH(softmax));
  fill(softmax_backward_slot, HWY_DYNAMIC_DISPATCH(softmax_backward));
}

}  // namespace reprise::cpu
#endif
