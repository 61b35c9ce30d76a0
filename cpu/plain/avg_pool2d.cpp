#include "reprise/ops/avg_pool2d.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/pool_windows.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void avg_pool2d(const AvgPool2dArgs& args, std::span<std::byte>) {
  const Shape &x_shape = args.x.info->shape, &y_shape = args.y.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  const std::int64_t area = args.kernel_size.h * args.kernel_size.w;
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  parallel_for(y_shape[0] * p, grain_for(q * channels * area), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < q; ++column) {
        const Window rows = window(row % p, h, args.kernel_size.h, args.stride.h, args.padding.h);
        const Window columns = window(column, w, args.kernel_size.w, args.stride.w, args.padding.w);
        T* to = y + (row * q + column) * channels;
        std::fill(to, to + channels, T{0});
        for (std::int64_t i = rows.first; i < rows.last; ++i)
          for (std::int64_t j = columns.first; j < columns.last; ++j) {
            const T* from = x + ((row / p * h + rows.origin + i) * w + columns.origin + j) * channels;
            for (std::int64_t c = 0; c < channels; ++c) to[c] += from[c];
          }
        for (std::int64_t c = 0; c < channels; ++c) to[c] /= static_cast<T>(area);
      }
  });
}

template <class T>
void avg_pool2d_backward(const AvgPool2dBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t channels = args.dy.info->shape[3], area = args.kernel_size.h * args.kernel_size.w;
  const T* dy = args.dy.as<T>();
  T* dx = args.dx.as<T>();
  pool_backward<T>(args, [=](std::int64_t to, std::int64_t from, std::int64_t) {
    for (std::int64_t c = 0; c < channels; ++c) dx[to + c] += dy[from + c] / static_cast<T>(area);
  });
}

}  // namespace

void fill_avg_pool2d() {
  fill_floating(avg_pool2d_slot, avg_pool2d<float>, avg_pool2d<double>);
  fill_floating(avg_pool2d_backward_slot, avg_pool2d_backward<float>, avg_pool2d_backward<double>);
  fill_widened<avg_pool2d_slot, &AvgPool2dArgs::x, &AvgPool2dArgs::y>();
  fill_widened<avg_pool2d_backward_slot, &AvgPool2dBackwardArgs::dy, &AvgPool2dBackwardArgs::dx>();
}

}  // namespace reprise::cpu
