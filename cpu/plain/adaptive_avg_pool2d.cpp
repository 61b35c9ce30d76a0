#include "reprise/cpu/plain/channels.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"
#include "reprise/ops/avg_pool2d.h"

namespace reprise::cpu {
namespace {

// Window i of `windows` over `extent` places.
std::int64_t first_of(std::int64_t i, std::int64_t extent, std::int64_t windows) {
  return i * extent / windows;
}
std::int64_t last_of(std::int64_t i, std::int64_t extent, std::int64_t windows) {
  return ((i + 1) * extent + windows - 1) / windows;
}

// The first window that holds `place`.
std::int64_t first_window(std::int64_t place, std::int64_t extent, std::int64_t windows) {
  std::int64_t i = place * windows / extent;
  while (i > 0 && last_of(i - 1, extent, windows) > place) --i;
  return i;
}

template <class T>
void adaptive_avg_pool2d(const AdaptiveAvgPool2dArgs& args, std::span<std::byte>) {
  const Shape &x_shape = args.x.info->shape, &y_shape = args.y.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  parallel_for(y_shape[0] * p, grain_for(h / p * w * channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < q; ++column) {
        const std::int64_t top = first_of(row % p, h, p), height = last_of(row % p, h, p) - top;
        const std::int64_t left = first_of(column, w, q), width = last_of(column, w, q) - left;
        const T* image = x + row / p * h * w * channels;
        T* to = y + (row * q + column) * channels;
        for (std::int64_t first = 0; first < channels; first += kChannelBlock) {
          const std::int64_t count = std::min(kChannelBlock, channels - first);
          const ChannelSums sums =
              sum_rows(height * width, first, count, [&](std::int64_t place, std::int64_t c) {
                return static_cast<double>(
                    image[((top + place / width) * w + left + place % width) * channels + c]);
              });
          for (std::int64_t c = 0; c < count; ++c)
            to[first + c] =
                static_cast<T>(sums[static_cast<std::size_t>(c)] / static_cast<double>(height * width));
        }
      }
  });
}

template <class T>
void adaptive_avg_pool2d_backward(const AdaptiveAvgPool2dBackwardArgs& args, std::span<std::byte>) {
  const Shape &x_shape = args.dx.info->shape, &y_shape = args.dy.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  const T* dy = args.dy.as<T>();
  T* dx = args.dx.as<T>();
  parallel_for(x_shape[0] * h, grain_for(2 * w * channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < w; ++column) {
        const std::int64_t at = row % h;
        T* to = dx + (row * w + column) * channels;
        std::fill(to, to + channels, T{0});
        for (std::int64_t a = first_window(at, h, p); a < p && first_of(a, h, p) <= at; ++a)
          for (std::int64_t b = first_window(column, w, q); b < q && first_of(b, w, q) <= column; ++b) {
            const std::int64_t area =
                (last_of(a, h, p) - first_of(a, h, p)) * (last_of(b, w, q) - first_of(b, w, q));
            const T* from = dy + ((row / h * p + a) * q + b) * channels;
            for (std::int64_t c = 0; c < channels; ++c) to[c] += from[c] / static_cast<T>(area);
          }
      }
  });
}

}  // namespace

void fill_adaptive_avg_pool2d() {
  fill_floating(adaptive_avg_pool2d_slot, adaptive_avg_pool2d<float>, adaptive_avg_pool2d<double>);
  fill_floating(adaptive_avg_pool2d_backward_slot, adaptive_avg_pool2d_backward<float>,
                adaptive_avg_pool2d_backward<double>);
  fill_widened<adaptive_avg_pool2d_slot, &AdaptiveAvgPool2dArgs::x, &AdaptiveAvgPool2dArgs::y>();
  fill_widened<adaptive_avg_pool2d_backward_slot, &AdaptiveAvgPool2dBackwardArgs::dy,
               &AdaptiveAvgPool2dBackwardArgs::dx>();
}

}  // namespace reprise::cpu
