#include "reprise/ops/cross_entropy.h"

#include <cmath>

#include "reprise/cpu/plain/chunked_sum.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/plain/target_count.h"

namespace reprise::cpu {
namespace {

constexpr std::int64_t kChunk = 16;  // positions

template <class T>
void cross_entropy(const CrossEntropyArgs& args, std::span<std::byte> workspace) {
  const std::int64_t classes = args.logits.info->shape[-1], positions = args.targets.info->shape.numel();
  const auto* targets = args.targets.as<std::int64_t>();
  T* log_sums = args.log_sum.as<T>();
  const double smoothing = args.options.label_smoothing;
  const double total = chunked_sum(positions, kChunk, workspace, [&](std::int64_t position) {
    const T* x = args.logits.as<T>() + position * classes;
    const T highest = *std::max_element(x, x + classes);
    double exponentials = 0, sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      exponentials += static_cast<double>(std::exp(x[c] - highest));
      sum += static_cast<double>(x[c]);
    }
    const double log_sum = std::log(exponentials), log_sum_exp = static_cast<double>(highest) + log_sum;
    log_sums[position] = static_cast<T>(log_sum);
    if (targets[position] == args.options.ignore_index) return 0.0;
    const double of_target = log_sum_exp - static_cast<double>(x[targets[position]]);
    if (smoothing == 0) return of_target;
    return (1 - smoothing) * of_target + smoothing * (log_sum_exp - sum / static_cast<double>(classes));
  });
  const std::int64_t count = count_of(args.targets, args.options.ignore_index);
  args.loss.as<T>()[0] = static_cast<T>(total / static_cast<double>(count));
}

std::size_t cross_entropy_workspace(const CrossEntropyArgs& args) {
  return chunked_sum_workspace(args.targets.info->shape.numel(), kChunk);
}

template <class T>
void cross_entropy_backward(const CrossEntropyBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t classes = args.logits.info->shape[-1], positions = args.targets.info->shape.numel();
  const auto* targets = args.targets.as<std::int64_t>();
  const T* log_sums = args.log_sum.as<T>();
  const double smoothing = args.options.label_smoothing;
  const std::int64_t count = count_of(args.targets, args.options.ignore_index);
  const T scale = static_cast<T>(static_cast<double>(*args.dloss.as<T>()) / static_cast<double>(count));
  const T everywhere = static_cast<T>(smoothing / static_cast<double>(classes)),
          at_target = static_cast<T>(1 - smoothing);
  parallel_for(positions, grain_for(8 * classes), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t position = begin; position < end; ++position) {
      const T* x = args.logits.as<T>() + position * classes;
      T* dx = args.dlogits.as<T>() + position * classes;
      if (targets[position] == args.options.ignore_index) {
        std::fill(dx, dx + classes, T{0});
        continue;
      }
      const T highest = *std::max_element(x, x + classes);
      for (std::int64_t c = 0; c < classes; ++c)
        dx[c] = scale * (std::exp(x[c] - highest - log_sums[position]) - everywhere);
      dx[targets[position]] -= scale * at_target;
    }
  });
}

}  // namespace

void fill_cross_entropy() {
  cross_entropy_slot.fill_plain(DType::f32, {cross_entropy<float>, cross_entropy_workspace});
  cross_entropy_slot.fill_plain(DType::f64, {cross_entropy<double>, cross_entropy_workspace});
  fill_floating(cross_entropy_backward_slot, cross_entropy_backward<float>, cross_entropy_backward<double>);
  fill_widened<cross_entropy_slot, &CrossEntropyArgs::logits>();
  fill_widened<cross_entropy_backward_slot, &CrossEntropyBackwardArgs::logits,
               &CrossEntropyBackwardArgs::dlogits>();
}

}  // namespace reprise::cpu
