#pragma once
// Which places a pooling window reads, and which windows read a place, along one dimension; and the walk over the latter
// that the gradients of both poolings are.
#include <algorithm>
#include <cstdint>

#include "reprise/core/kernel_slot.h"
#include "reprise/cpu/plain/products.h"

namespace reprise::cpu {

// Window number `place` reads origin + i of the image for i in [first, last): the part outside the image is padding.
struct Window {
  std::int64_t origin, first, last;
};
inline Window window(std::int64_t place, std::int64_t extent, std::int64_t kernel, std::int64_t stride,
                     std::int64_t padding) {
  const std::int64_t origin = place * stride - padding;
  return {origin, std::max<std::int64_t>(0, -origin), std::min(kernel, extent - origin)};
}

// The windows [first, last), of `count`, that read position `at` of the image.
struct Covering {
  std::int64_t first, last;
};
inline Covering covering(std::int64_t at, std::int64_t count, std::int64_t kernel, std::int64_t stride,
                         std::int64_t padding) {
  const std::int64_t past = at + padding - kernel;  // windows that begin at or before it end before `at`
  return {past < 0 ? 0 : past / stride + 1, std::min(count, (at + padding) / stride + 1)};
}

// dx from dy. Each position of the image looks for the windows that read it, so that no two threads write the same one:
// add(to, from, place) adds to the channels at dx + to what comes from those at dy + from, the result of a window of
// which this position is number `place`.
template <class T, class Args, class Add>
void pool_backward(const Args& args, Add&& add) {
  const Shape &x_shape = args.dx.info->shape, &y_shape = args.dy.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  T* dx = args.dx.template as<T>();
  parallel_for(x_shape[0] * h, grain_for(4 * w * channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < w; ++column) {
        const Covering rows = covering(row % h, p, args.kernel_size.h, args.stride.h, args.padding.h);
        const Covering columns = covering(column, q, args.kernel_size.w, args.stride.w, args.padding.w);
        const std::int64_t to = (row * w + column) * channels;
        std::fill(dx + to, dx + to + channels, T{0});
        for (std::int64_t a = rows.first; a < rows.last; ++a)
          for (std::int64_t b = columns.first; b < columns.last; ++b) {
            const std::int64_t i = row % h + args.padding.h - a * args.stride.h;
            const std::int64_t j = column + args.padding.w - b * args.stride.w;
            add(to, ((row / h * p + a) * q + b) * channels, i * args.kernel_size.w + j);
          }
      }
  });
}

}  // namespace reprise::cpu
