// The loss and its gradient, one pass over the logits each, vectorized over the classes.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/cross_entropy.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain/target_count.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/cross_entropy.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kChunk = 64;       // positions whose losses are summed one after another
inline constexpr std::int64_t kElements = 8192;  // logits worth a thread

template <class T>
HWY_INLINE float highest_of(const T* x, std::int64_t count) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const std::int64_t n = lanes();
  Vec highest = set(kLowest);
  std::int64_t i = 0;
  for (; i + n <= count; i += n) highest = hn::Max(highest, load(x + i));
  if (i < count) highest = hn::Max(highest, load_part(x + i, count - i, kLowest));
  return max_of_lanes(highest);
}

template <class T>
void forward(const CrossEntropyArgs& args, std::span<std::byte> workspace) {
  const std::int64_t classes = args.logits.info->shape[-1], positions = args.targets.info->shape.numel();
  const T* logits = args.logits.as<T>();
  const auto* targets = args.targets.as<std::int64_t>();
  float* log_sums = args.log_sum.as<float>();
  auto* losses = reinterpret_cast<double*>(workspace.data());  // one a chunk
  const double smoothing = args.options.label_smoothing;
  const std::int64_t chunks = (positions + kChunk - 1) / kChunk, n = lanes();
  parallel_for(
      chunks, kElements / (kChunk * classes + 1) + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t chunk = begin; chunk < end; ++chunk) {
          double total = 0;
          for (std::int64_t i = chunk * kChunk; i < std::min(positions, (chunk + 1) * kChunk); ++i) {
            const T* x = logits + i * classes;
            const Vec highest = set(highest_of(x, classes));
            Vec exponentials = hn::Zero(F32()), sum = hn::Zero(F32());
            std::int64_t c = 0;
            for (; c + n <= classes; c += n) {
              const Vec difference = hn::Sub(load(x + c), highest);
              exponentials = hn::Add(exponentials, exp(difference));
              sum = hn::Add(sum, difference);
            }
            if (c < classes) {
              const Vec last = load_part(x + c, classes - c, -std::numeric_limits<float>::infinity());
              exponentials = hn::Add(exponentials, exp(hn::Sub(last, highest)));
              sum = hn::Add(sum, hn::Sub(load_part(x + c, classes - c, hn::GetLane(highest)), highest));
            }
            const double log_sum = std::log(static_cast<double>(sum_of_lanes(exponentials)));
            const double log_sum_exp = static_cast<double>(hn::GetLane(highest)) + log_sum;
            log_sums[i] = static_cast<float>(log_sum);
            if (targets[i] == args.options.ignore_index) continue;
            const double of_target = log_sum_exp - static_cast<double>(as_float(x[targets[i]]));
            const double of_all =
                log_sum - static_cast<double>(sum_of_lanes(sum)) / static_cast<double>(classes);
            total += smoothing == 0 ? of_target : (1 - smoothing) * of_target + smoothing * of_all;
          }
          losses[chunk] = total;
        }
      });
  double total = 0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += losses[chunk];
  const std::int64_t count = count_of(args.targets, args.options.ignore_index);
  *args.loss.as<float>() = static_cast<float>(total / static_cast<double>(count));
}

template <class T>
void backward(const CrossEntropyBackwardArgs& args) {
  const std::int64_t classes = args.logits.info->shape[-1], positions = args.targets.info->shape.numel();
  const auto* targets = args.targets.as<std::int64_t>();
  const std::int64_t count = count_of(args.targets, args.options.ignore_index);
  const auto scale =
      static_cast<float>(static_cast<double>(*args.dloss.as<float>()) / static_cast<double>(count));
  const double smoothing = args.options.label_smoothing;
  const Vec everywhere = set(static_cast<float>(smoothing / static_cast<double>(classes)));
  const auto at_target = static_cast<float>(1 - smoothing);
  parallel_for(positions, kElements / (classes + 1) + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* x = args.logits.as<T>() + i * classes;
      T* dx = args.dlogits.as<T>() + i * classes;
      if (targets[i] == args.options.ignore_index) {
        std::fill(dx, dx + classes, T{});
        continue;
      }
      // Two differences: the sum of the highest logit and log_sum would lose the digits of log_sum.
      const Vec highest = set(highest_of(x, classes)), log_sum = set(args.log_sum.as<float>()[i]);
      const auto probability = [=](Vec v) HWY_ATTR { return exp(hn::Sub(hn::Sub(v, highest), log_sum)); };
      map(x, dx, classes,
          [&](Vec v) HWY_ATTR { return hn::Mul(hn::Sub(probability(v), everywhere), set(scale)); });
      // Not from dx, which may be rounded: near 1 the difference counts.
      const Vec target = hn::Sub(probability(set(as_float(x[targets[i]]))), everywhere);
      store_part(hn::Mul(hn::Sub(target, set(at_target)), set(scale)), dx + targets[i], 1);
    }
  });
}

void cross_entropy(const CrossEntropyArgs& args, std::span<std::byte> workspace) {
  with_element(args.logits.info->dtype, [&](auto element) { forward<decltype(element)>(args, workspace); });
}
void cross_entropy_backward(const CrossEntropyBackwardArgs& args, std::span<std::byte>) {
  with_element(args.logits.info->dtype, [&](auto element) { backward<decltype(element)>(args); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(cross_entropy);
HWY_EXPORT(cross_entropy_backward);

namespace {

std::size_t cross_entropy_workspace(const CrossEntropyArgs& args) {
  constexpr std::int64_t kPositions = 64;  // kChunk
  return static_cast<std::size_t>((args.targets.info->shape.numel() + kPositions - 1) / kPositions) *
         sizeof(double);
}

}  // namespace

void fill_fast_cross_entropy() {
  fill_both(cross_entropy_slot, HWY_DYNAMIC_DISPATCH(cross_entropy), cross_entropy_workspace);
  fill_both(cross_entropy_backward_slot, HWY_DYNAMIC_DISPATCH(cross_entropy_backward));
}

}  // namespace reprise::cpu
#endif
