#include "reprise/ops/rms_norm.h"

#include <cmath>

#include "reprise/cpu/plain/channels.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void rms_norm(const RmsNormArgs& args, std::span<std::byte>) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.rstd.info->shape.numel();
  const T* weight = args.weight.as<T>();
  T* rstd = args.rstd.as<T>();
  parallel_for(rows, grain_for(4 * width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = args.x.as<T>() + row * width;
      T* y = args.y.as<T>() + row * width;
      double squares = 0;
      for (std::int64_t i = 0; i < width; ++i)
        squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      rstd[row] = static_cast<T>(1.0 / std::sqrt(squares / static_cast<double>(width) + args.eps));
      for (std::int64_t i = 0; i < width; ++i) y[i] = x[i] * rstd[row] * weight[i];
    }
  });
}

// With h = x rstd and g = dy weight:
//   dx = rstd (g - h mean(g h)) per row; dweight = sum(dy h) over the rows
template <class T>
void rms_norm_backward(const RmsNormBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.rstd.info->shape.numel();
  const T *x = args.x.as<T>(), *dy = args.dy.as<T>(), *weight = args.weight.as<T>();
  const T* rstd = args.rstd.as<T>();
  if (args.dx.info) {
    T* dx = args.dx.as<T>();
    parallel_for(rows, grain_for(4 * width), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t at = row * width;
        double products = 0;
        for (std::int64_t i = 0; i < width; ++i)
          products +=
              static_cast<double>(dy[at + i] * weight[i]) * static_cast<double>(x[at + i] * rstd[row]);
        const T mean_gh = static_cast<T>(products / static_cast<double>(width));
        for (std::int64_t i = 0; i < width; ++i)
          dx[at + i] = rstd[row] * (dy[at + i] * weight[i] - x[at + i] * rstd[row] * mean_gh);
      }
    });
  }
  if (!args.dweight.info) return;
  T* dweight = args.dweight.as<T>();
  for_each_channel_block(rows, width, [&](std::int64_t first, std::int64_t count) {
    const ChannelSums products = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      const std::int64_t i = row * width + c;
      return static_cast<double>(dy[i]) * static_cast<double>(x[i] * rstd[row]);
    });
    for (std::int64_t c = 0; c < count; ++c)
      dweight[first + c] = static_cast<T>(products[static_cast<std::size_t>(c)]);
  });
}

}  // namespace

void fill_rms_norm() {
  fill_floating(rms_norm_slot, rms_norm<float>, rms_norm<double>);
  fill_floating(rms_norm_backward_slot, rms_norm_backward<float>, rms_norm_backward<double>);
  fill_widened<rms_norm_slot, &RmsNormArgs::x, &RmsNormArgs::weight, &RmsNormArgs::y>();
  fill_widened<rms_norm_backward_slot, &RmsNormBackwardArgs::dy, &RmsNormBackwardArgs::x,
               &RmsNormBackwardArgs::weight, &RmsNormBackwardArgs::dx, &RmsNormBackwardArgs::dweight>();
}

}  // namespace reprise::cpu
