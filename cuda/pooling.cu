// Pooling of NHWC images. A thread computes one element of y, or of dx, which looks for the windows that read it: no two
// threads write the same place.
#include "reprise/cuda/kernel.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/avg_pool2d.h"
#include "reprise/ops/max_pool2d.h"

namespace reprise::cuda {
namespace {

// The windows over one extent.
struct Axis {
  std::int64_t extent, count, kernel, stride, padding;  // of the image; of windows
  __device__ std::int64_t origin(std::int64_t window) const { return window * stride - padding; }
  // The windows [first, last) that read position `at`.
  __device__ std::int64_t first(std::int64_t at) const {
    const std::int64_t past = at + padding - kernel;  // windows that begin at or before it end before `at`
    return past < 0 ? 0 : past / stride + 1;
  }
  __device__ std::int64_t last(std::int64_t at) const {
    const std::int64_t next = (at + padding) / stride + 1;
    return next < count ? next : count;
  }
};

struct Windows {
  Axis rows, columns;
  std::int64_t channels;
  Windows(const Shape& x, const Shape& y, Pair kernel, Pair stride, Pair padding)
      : rows{x[1], y[1], kernel.h, stride.h, padding.h},
        columns{x[2], y[2], kernel.w, stride.w, padding.w},
        channels(x[3]) {}
};

// Number i of [n, height, width, channels], taken apart.
struct Position {
  std::int64_t image, row, column, channel;
  __device__ Position(std::int64_t i, std::int64_t height, std::int64_t width, std::int64_t channels) {
    channel = i % channels;
    column = i / channels % width;
    row = i / channels / width % height;
    image = i / channels / width / height;
  }
};

template <class T, class Index>
__global__ void max_pool_elements(std::int64_t count, Windows windows, bool relu, const T* x, T* y,
                                  Index* index) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const Axis rows = windows.rows, columns = windows.columns;
  const Position at(i, rows.count, columns.count, windows.channels);
  Computed<T> best = 0;
  std::int64_t winner = -1;
  for (std::int64_t a = 0; a < rows.kernel; ++a)
    for (std::int64_t b = 0; b < columns.kernel; ++b) {
      const std::int64_t row = rows.origin(at.row) + a, column = columns.origin(at.column) + b;
      if (row < 0 || row >= rows.extent || column < 0 || column >= columns.extent) continue;
      const Computed<T> value = widen(
          x[((at.image * rows.extent + row) * columns.extent + column) * windows.channels + at.channel]);
      if (winner >= 0 && !(value > best) && !(value != value && best == best)) continue;
      best = value;
      winner = a * columns.kernel + b;
    }
  if (relu && best <= 0) {
    best = 0;
    winner = rows.kernel * columns.kernel;  // nobody
  }
  y[i] = narrow<T>(best);
  index[i] = static_cast<Index>(winner);
}

template <class T, class Index>
__global__ void max_pool_backward_elements(std::int64_t count, Windows windows, const T* dy,
                                           const Index* index, T* dx) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const Axis rows = windows.rows, columns = windows.columns;
  const Position at(i, rows.extent, columns.extent, windows.channels);
  Computed<T> sum = 0;
  for (std::int64_t a = rows.first(at.row); a < rows.last(at.row); ++a)
    for (std::int64_t b = columns.first(at.column); b < columns.last(at.column); ++b) {
      const std::int64_t place = (at.row - rows.origin(a)) * columns.kernel + at.column - columns.origin(b);
      const std::int64_t from =
          ((at.image * rows.count + a) * columns.count + b) * windows.channels + at.channel;
      if (static_cast<std::int64_t>(index[from]) == place) sum += widen(dy[from]);
    }
  dx[i] = narrow<T>(sum);
}

template <class F>
void with_index(DType dtype, F f) {
  if (dtype == DType::u8)
    f(std::uint8_t{});
  else
    f(std::int32_t{});
}

void max_pool2d(const MaxPool2dArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.y.info->shape.numel();
  const Windows windows(args.x.info->shape, args.y.info->shape, args.kernel_size, args.stride, args.padding);
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    with_index(args.index.info->dtype, [&](auto integer) {
      using T = decltype(stored);
      using Index = decltype(integer);
      launch_each("max_pool2d", use(args.x.info->device), count, max_pool_elements<T, Index>, count, windows,
                  args.relu, args.x.as<T>(), args.y.as<T>(), args.index.as<Index>());
    });
  });
}

void max_pool2d_backward(const MaxPool2dBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.dx.info->shape.numel();
  const Windows windows(args.dx.info->shape, args.dy.info->shape, args.kernel_size, args.stride,
                        args.padding);
  with_any_floating(args.dx.info->dtype, [&](auto stored) {
    with_index(args.index.info->dtype, [&](auto integer) {
      using T = decltype(stored);
      using Index = decltype(integer);
      launch_each("max_pool2d_backward", use(args.dx.info->device), count,
                  max_pool_backward_elements<T, Index>, count, windows, args.dy.as<T>(),
                  args.index.as<Index>(), args.dx.as<T>());
    });
  });
}

template <class T>
__global__ void avg_pool_elements(std::int64_t count, Windows windows, const T* x, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const Axis rows = windows.rows, columns = windows.columns;
  const Position at(i, rows.count, columns.count, windows.channels);
  Computed<T> sum = 0;
  for (std::int64_t a = 0; a < rows.kernel; ++a)
    for (std::int64_t b = 0; b < columns.kernel; ++b) {
      const std::int64_t row = rows.origin(at.row) + a, column = columns.origin(at.column) + b;
      if (row >= 0 && row < rows.extent && column >= 0 && column < columns.extent)
        sum += widen(
            x[((at.image * rows.extent + row) * columns.extent + column) * windows.channels + at.channel]);
    }
  y[i] = narrow<T>(sum / static_cast<Computed<T>>(rows.kernel * columns.kernel));
}

template <class T>
__global__ void avg_pool_backward_elements(std::int64_t count, Windows windows, const T* dy, T* dx) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const Axis rows = windows.rows, columns = windows.columns;
  const Position at(i, rows.extent, columns.extent, windows.channels);
  Computed<T> sum = 0;
  for (std::int64_t a = rows.first(at.row); a < rows.last(at.row); ++a)
    for (std::int64_t b = columns.first(at.column); b < columns.last(at.column); ++b)
      sum += widen(dy[((at.image * rows.count + a) * columns.count + b) * windows.channels + at.channel]);
  dx[i] = narrow<T>(sum / static_cast<Computed<T>>(rows.kernel * columns.kernel));
}

void avg_pool2d(const AvgPool2dArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.y.info->shape.numel();
  const Windows windows(args.x.info->shape, args.y.info->shape, args.kernel_size, args.stride, args.padding);
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("avg_pool2d", use(args.x.info->device), count, avg_pool_elements<T>, count, windows,
                args.x.as<T>(), args.y.as<T>());
  });
}

void avg_pool2d_backward(const AvgPool2dBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.dx.info->shape.numel();
  const Windows windows(args.dx.info->shape, args.dy.info->shape, args.kernel_size, args.stride,
                        args.padding);
  with_any_floating(args.dx.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("avg_pool2d_backward", use(args.dx.info->device), count, avg_pool_backward_elements<T>, count,
                windows, args.dy.as<T>(), args.dx.as<T>());
  });
}

// ---- adaptive: window i of n over an extent e is [floor(i e / n), ceil((i + 1) e / n))

struct AdaptiveAxis {
  std::int64_t extent, count;
  __device__ std::int64_t begin(std::int64_t window) const { return window * extent / count; }
  __device__ std::int64_t end(std::int64_t window) const {
    return ((window + 1) * extent + count - 1) / count;
  }
  __device__ std::int64_t size(std::int64_t window) const { return end(window) - begin(window); }
  // The first window that reads position `at`.
  __device__ std::int64_t first(std::int64_t at) const {
    std::int64_t window = at * count / extent;
    while (window > 0 && end(window - 1) > at) --window;
    return window;
  }
};

template <class T>
__global__ void adaptive_pool_elements(std::int64_t count, AdaptiveAxis rows, AdaptiveAxis columns,
                                       std::int64_t channels, const T* x, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const Position at(i, rows.count, columns.count, channels);
  double sum = 0;
  for (std::int64_t row = rows.begin(at.row); row < rows.end(at.row); ++row)
    for (std::int64_t column = columns.begin(at.column); column < columns.end(at.column); ++column)
      sum += static_cast<double>(
          widen(x[((at.image * rows.extent + row) * columns.extent + column) * channels + at.channel]));
  y[i] = narrow<T>(
      static_cast<Computed<T>>(sum / static_cast<double>(rows.size(at.row) * columns.size(at.column))));
}

template <class T>
__global__ void adaptive_pool_backward_elements(std::int64_t count, AdaptiveAxis rows, AdaptiveAxis columns,
                                                std::int64_t channels, const T* dy, T* dx) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const Position at(i, rows.extent, columns.extent, channels);
  Computed<T> sum = 0;
  for (std::int64_t a = rows.first(at.row); a < rows.count && rows.begin(a) <= at.row; ++a)
    for (std::int64_t b = columns.first(at.column); b < columns.count && columns.begin(b) <= at.column; ++b)
      sum += widen(dy[((at.image * rows.count + a) * columns.count + b) * channels + at.channel]) /
             static_cast<Computed<T>>(rows.size(a) * columns.size(b));
  dx[i] = narrow<T>(sum);
}

void adaptive_avg_pool2d(const AdaptiveAvgPool2dArgs& args, std::span<std::byte>) {
  const Shape &x = args.x.info->shape, &y = args.y.info->shape;
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("adaptive_avg_pool2d", use(args.x.info->device), y.numel(), adaptive_pool_elements<T>,
                y.numel(), AdaptiveAxis{x[1], y[1]}, AdaptiveAxis{x[2], y[2]}, x[3], args.x.as<T>(),
                args.y.as<T>());
  });
}

void adaptive_avg_pool2d_backward(const AdaptiveAvgPool2dBackwardArgs& args, std::span<std::byte>) {
  const Shape &x = args.dx.info->shape, &y = args.dy.info->shape;
  with_any_floating(args.dx.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("adaptive_avg_pool2d_backward", use(args.dx.info->device), x.numel(),
                adaptive_pool_backward_elements<T>, x.numel(), AdaptiveAxis{x[1], y[1]},
                AdaptiveAxis{x[2], y[2]}, x[3], args.dy.as<T>(), args.dx.as<T>());
  });
}

}  // namespace

void fill_pooling() {
  fill_any_floating(max_pool2d_slot, max_pool2d);
  fill_any_floating(max_pool2d_backward_slot, max_pool2d_backward);
  fill_any_floating(avg_pool2d_slot, avg_pool2d);
  fill_any_floating(avg_pool2d_backward_slot, avg_pool2d_backward);
  fill_any_floating(adaptive_avg_pool2d_slot, adaptive_avg_pool2d);
  fill_any_floating(adaptive_avg_pool2d_backward_slot, adaptive_avg_pool2d_backward);
}

}  // namespace reprise::cuda
