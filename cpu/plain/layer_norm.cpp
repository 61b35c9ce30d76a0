#include "reprise/ops/layer_norm.h"

#include <cmath>

#include "reprise/cpu/plain/channels.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void layer_norm(const LayerNormArgs& args, std::span<std::byte>) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  const T *weight = args.weight.as<T>(), *bias = args.bias.as<T>();
  T *mean = args.mean.as<T>(), *rstd = args.rstd.as<T>();
  parallel_for(rows, grain_for(4 * width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = args.x.as<T>() + row * width;
      T* y = args.y.as<T>() + row * width;
      double sum = 0, squares = 0;
      for (std::int64_t i = 0; i < width; ++i) sum += static_cast<double>(x[i]);
      const double average = sum / static_cast<double>(width);
      for (std::int64_t i = 0; i < width; ++i) {
        const double difference = static_cast<double>(x[i]) - average;
        squares += difference * difference;
      }
      mean[row] = static_cast<T>(average);
      rstd[row] = static_cast<T>(1.0 / std::sqrt(squares / static_cast<double>(width) + args.eps));
      for (std::int64_t i = 0; i < width; ++i) y[i] = (x[i] - mean[row]) * rstd[row] * weight[i] + bias[i];
    }
  });
}

// With h = (x - mean) rstd and g = dy weight:
//   dx = rstd (g - mean(g) - h mean(g h)) per row; dweight = sum(dy h), dbias = sum(dy) over the rows
template <class T>
void layer_norm_backward(const LayerNormBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  const T *x = args.x.as<T>(), *dy = args.dy.as<T>(), *weight = args.weight.as<T>();
  const T *mean = args.mean.as<T>(), *rstd = args.rstd.as<T>();
  if (args.dx.info) {
    T* dx = args.dx.as<T>();
    parallel_for(rows, grain_for(4 * width), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t at = row * width;
        double sum = 0, products = 0;
        for (std::int64_t i = 0; i < width; ++i) {
          const auto g = static_cast<double>(dy[at + i] * weight[i]);
          sum += g;
          products += g * static_cast<double>((x[at + i] - mean[row]) * rstd[row]);
        }
        const T mean_g = static_cast<T>(sum / static_cast<double>(width));
        const T mean_gh = static_cast<T>(products / static_cast<double>(width));
        for (std::int64_t i = 0; i < width; ++i) {
          const T h = (x[at + i] - mean[row]) * rstd[row];
          dx[at + i] = rstd[row] * (dy[at + i] * weight[i] - mean_g - h * mean_gh);
        }
      }
    });
  }
  if (!args.dweight.info) return;
  T *dweight = args.dweight.as<T>(), *dbias = args.dbias.as<T>();
  for_each_channel_block(rows, width, [&](std::int64_t first, std::int64_t count) {
    const ChannelSums sums = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      return static_cast<double>(dy[row * width + c]);
    });
    const ChannelSums products = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      const std::int64_t i = row * width + c;
      return static_cast<double>(dy[i]) * static_cast<double>((x[i] - mean[row]) * rstd[row]);
    });
    for (std::int64_t c = 0; c < count; ++c) {
      dbias[first + c] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
      dweight[first + c] = static_cast<T>(products[static_cast<std::size_t>(c)]);
    }
  });
}

}  // namespace

void fill_layer_norm() {
  fill_floating(layer_norm_slot, layer_norm<float>, layer_norm<double>);
  fill_floating(layer_norm_backward_slot, layer_norm_backward<float>, layer_norm_backward<double>);
  fill_widened<layer_norm_slot, &LayerNormArgs::x, &LayerNormArgs::weight, &LayerNormArgs::bias,
               &LayerNormArgs::y>();
  fill_widened<layer_norm_backward_slot, &LayerNormBackwardArgs::dy, &LayerNormBackwardArgs::x,
               &LayerNormBackwardArgs::weight, &LayerNormBackwardArgs::dx, &LayerNormBackwardArgs::dweight,
               &LayerNormBackwardArgs::dbias>();
}

}  // namespace reprise::cpu
