#include "reprise/ops/max_pool2d.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/pool_windows.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T, class Index>
void pool(const MaxPool2dArgs& args) {
  const Shape &x_shape = args.x.info->shape, &y_shape = args.y.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  Index* index = args.index.as<Index>();
  const std::int64_t work = q * channels * args.kernel_size.h * args.kernel_size.w;
  parallel_for(y_shape[0] * p, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < q; ++column) {
        const Window rows = window(row % p, h, args.kernel_size.h, args.stride.h, args.padding.h);
        const Window columns = window(column, w, args.kernel_size.w, args.stride.w, args.padding.w);
        const std::int64_t to = (row * q + column) * channels;
        for (std::int64_t i = rows.first; i < rows.last; ++i)
          for (std::int64_t j = columns.first; j < columns.last; ++j) {
            const T* from = x + ((row / p * h + rows.origin + i) * w + columns.origin + j) * channels;
            const auto place = static_cast<Index>(i * args.kernel_size.w + j);
            const bool first = i == rows.first && j == columns.first;
            for (std::int64_t c = 0; c < channels; ++c) {
              const T value = from[c], best = y[to + c];
              const bool wins =
                  first || value > best || (value != value && best == best);  // NaN differs from itself
              if (wins) y[to + c] = value;
              if (wins) index[to + c] = place;
            }
          }
        for (std::int64_t i = to; args.relu && i < to + channels; ++i)
          if (y[i] <= 0) {
            y[i] = 0;
            index[i] = static_cast<Index>(args.kernel_size.h * args.kernel_size.w);  // nobody
          }
      }
  });
}

// Each window's gradient goes to the position that won it.
template <class T, class Index>
void give_to_winners(const MaxPool2dBackwardArgs& args) {
  const std::int64_t channels = args.dy.info->shape[3];
  const T* dy = args.dy.as<T>();
  const Index* index = args.index.as<Index>();
  T* dx = args.dx.as<T>();
  pool_backward<T>(args, [=](std::int64_t to, std::int64_t from, std::int64_t place) {
    for (std::int64_t c = 0; c < channels; ++c)
      if (index[from + c] == static_cast<Index>(place)) dx[to + c] += dy[from + c];
  });
}

template <class T>
void max_pool2d(const MaxPool2dArgs& args, std::span<std::byte>) {
  args.index.info->dtype == DType::u8 ? pool<T, std::uint8_t>(args) : pool<T, std::int32_t>(args);
}

template <class T>
void max_pool2d_backward(const MaxPool2dBackwardArgs& args, std::span<std::byte>) {
  args.index.info->dtype == DType::u8 ? give_to_winners<T, std::uint8_t>(args)
                                      : give_to_winners<T, std::int32_t>(args);
}

}  // namespace

void fill_max_pool2d() {
  fill_floating(max_pool2d_slot, max_pool2d<float>, max_pool2d<double>);
  fill_floating(max_pool2d_backward_slot, max_pool2d_backward<float>, max_pool2d_backward<double>);
  fill_widened<max_pool2d_slot, &MaxPool2dArgs::x, &MaxPool2dArgs::y>();
  fill_widened<max_pool2d_backward_slot, &MaxPool2dBackwardArgs::dy, &MaxPool2dBackwardArgs::dx>();
}

}  // namespace reprise::cpu
