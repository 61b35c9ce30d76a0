#include "reprise/ops/linear_cross_entropy.h"

#include <cmath>

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/cpu/plain/target_count.h"

namespace reprise::cpu {
namespace {

constexpr std::int64_t kChunk = 64;  // positions whose logits are there at once

// Of the logits of a chunk, as Ts.
template <class T, class Args>
std::size_t logits_workspace(const Args& args) {
  const std::int64_t rows = std::min(kChunk, args.targets.info->shape.numel());
  return static_cast<std::size_t>(rows * args.w.info->shape[0]) * sizeof(T);
}

// The logits of positions first .. first + count.
template <class T, class Args>
void make_logits(const Args& args, std::int64_t first, std::int64_t count, T* logits) {
  const std::int64_t classes = args.w.info->shape[0], in = args.w.info->shape[1];
  const T *x = args.x.template as<T>() + first * in, *w = args.w.template as<T>();
  parallel_for(count, grain_for(in * classes), [=](std::int64_t begin, std::int64_t end) {
    std::fill(logits + begin * classes, logits + end * classes, T{0});
    add_product<T>({x + begin * in, in, 1}, {w, 1, in}, logits + begin * classes, classes, end - begin, in,
                   classes);
  });
}

template <class T>
void linear_cross_entropy(const LinearCrossEntropyArgs& args, std::span<std::byte> workspace) {
  const std::int64_t classes = args.w.info->shape[0], positions = args.targets.info->shape.numel();
  const auto* targets = args.targets.as<std::int64_t>();
  T* logits = reinterpret_cast<T*>(workspace.data());
  const double smoothing = args.options.label_smoothing;
  double total = 0;
  for (std::int64_t first = 0; first < positions; first += kChunk) {
    const std::int64_t count = std::min(kChunk, positions - first);
    make_logits(args, first, count, logits);
    for (std::int64_t row = 0; row < count; ++row) {
      const T* z = logits + row * classes;
      const T highest = *std::max_element(z, z + classes);
      double exponentials = 0, sum = 0;
      for (std::int64_t c = 0; c < classes; ++c) {
        exponentials += static_cast<double>(std::exp(z[c] - highest));
        sum += static_cast<double>(z[c]);
      }
      const double log_sum = std::log(exponentials), lse = static_cast<double>(highest) + log_sum;
      args.log_sum.as<T>()[first + row] = static_cast<T>(log_sum);
      const std::int64_t target = targets[first + row];
      if (target == args.options.ignore_index) continue;
      total += (1 - smoothing) * (lse - static_cast<double>(z[target])) +
               smoothing * (lse - sum / static_cast<double>(classes));
    }
  }
  const std::int64_t counted = count_of(args.targets, args.options.ignore_index);
  *args.loss.as<T>() = static_cast<T>(total / static_cast<double>(counted));
}

template <class T>
void linear_cross_entropy_backward(const LinearCrossEntropyBackwardArgs& args,
                                   std::span<std::byte> workspace) {
  const std::int64_t classes = args.w.info->shape[0], in = args.w.info->shape[1];
  const std::int64_t positions = args.targets.info->shape.numel();
  const auto* targets = args.targets.as<std::int64_t>();
  const T *x = args.x.as<T>(), *w = args.w.as<T>(), *log_sums = args.log_sum.as<T>();
  T *dx = args.dx.info ? args.dx.as<T>() : nullptr, *dw = args.dw.info ? args.dw.as<T>() : nullptr;
  T* logits = reinterpret_cast<T*>(workspace.data());  // and then their gradient
  const std::int64_t counted = count_of(args.targets, args.options.ignore_index);
  const double scale = static_cast<double>(*args.dloss.as<T>()) / static_cast<double>(counted);
  const double smoothing = args.options.label_smoothing;
  const double everywhere = smoothing / static_cast<double>(classes);
  if (dw) std::fill(dw, dw + classes * in, T{0});
  for (std::int64_t first = 0; first < positions; first += kChunk) {
    const std::int64_t count = std::min(kChunk, positions - first);
    make_logits(args, first, count, logits);
    for (std::int64_t row = 0; row < count; ++row) {
      const std::int64_t target = targets[first + row];
      T* z = logits + row * classes;
      const T highest = *std::max_element(z, z + classes);
      for (std::int64_t c = 0; c < classes; ++c) {
        const double probability = static_cast<double>(std::exp(z[c] - highest - log_sums[first + row]));
        const double gradient = probability - everywhere - (c == target ? 1 - smoothing : 0.0);
        z[c] = target == args.options.ignore_index ? T{0} : static_cast<T>(scale * gradient);
      }
    }
    if (dx)
      parallel_for(count, grain_for(in * classes), [=](std::int64_t begin, std::int64_t end) {
        T* to = dx + first * in;
        std::fill(to + begin * in, to + end * in, T{0});
        add_product<T>({logits + begin * classes, classes, 1}, {w, in, 1}, to + begin * in, in, end - begin,
                       classes, in);
      });
    if (dw)
      parallel_for(classes, grain_for(count * in), [=](std::int64_t begin, std::int64_t end) {
        add_product<T>({logits + begin, 1, classes}, {x + first * in, in, 1}, dw + begin * in, in,
                       end - begin, count, in);
      });
  }
}

}  // namespace

void fill_linear_cross_entropy() {
  using Args = LinearCrossEntropyArgs;
  using Backward = LinearCrossEntropyBackwardArgs;
  linear_cross_entropy_slot.fill_plain(DType::f32,
                                       {linear_cross_entropy<float>, logits_workspace<float, Args>});
  linear_cross_entropy_slot.fill_plain(DType::f64,
                                       {linear_cross_entropy<double>, logits_workspace<double, Args>});
  linear_cross_entropy_backward_slot.fill_plain(
      DType::f32, {linear_cross_entropy_backward<float>, logits_workspace<float, Backward>});
  linear_cross_entropy_backward_slot.fill_plain(
      DType::f64, {linear_cross_entropy_backward<double>, logits_workspace<double, Backward>});
  fill_widened<linear_cross_entropy_slot, &Args::x, &Args::w>();
  fill_widened<linear_cross_entropy_backward_slot, &Backward::x, &Backward::w, &Backward::dx>();
}

}  // namespace reprise::cpu
