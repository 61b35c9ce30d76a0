// softmax, log_softmax and their gradients: along rows by blocks, along other dimensions by threads.
#include "reprise/cuda/reduce.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/softmax.h"

namespace reprise::cuda {
namespace {

// A line's elements are first + i * step for the threads i = begin, begin + stride, ... that share it.
struct Line {
  std::int64_t first, step, begin, stride;
};

// Line number blockIdx.x, shared by the block's threads.
__device__ Line row_of_block(std::int64_t extent) {
  return {blockIdx.x * extent, 1, threadIdx.x, blockDim.x};
}
// A thread's own line along the middle of [outer, extent, inner].
__device__ Line line_of_thread(std::int64_t line, std::int64_t extent, std::int64_t inner) {
  return {line / inner * extent * inner + line % inner, inner, 0, 1};
}

// Combines what the threads of a line have.
template <class C>
struct OfBlock {
  C* shared;
  template <class Combine>
  __device__ C operator()(C value, Combine combine) const {
    return reduce_block(value, combine, shared);
  }
};
struct OfThread {
  template <class C, class Combine>
  __device__ C operator()(C value, Combine) const {
    return value;
  }
};

// The first `seen` places of `extent` take part.
template <class T, class Reduce>
__device__ void softmax_line(const T* x, T* y, Line line, std::int64_t extent, std::int64_t seen, bool log,
                             Reduce reduce) {
  using C = Computed<T>;
  C highest = -INFINITY;
  for (std::int64_t i = line.begin; i < seen; i += line.stride)
    highest = ::fmax(highest, widen(x[line.first + i * line.step]));
  highest = reduce(highest, Greater{});
  C sum = 0;
  for (std::int64_t i = line.begin; i < seen; i += line.stride)
    sum += ::exp(widen(x[line.first + i * line.step]) - highest);
  sum = reduce(sum, Add{});
  const C scale = 1 / sum, log_sum = ::log(sum);
  for (std::int64_t i = line.begin; i < extent; i += line.stride) {
    const std::int64_t at = line.first + i * line.step;
    const C shifted = i < seen ? widen(x[at]) - highest : C{0};
    y[at] = narrow<T>(i >= seen ? C{0} : log ? shifted - log_sum : ::exp(shifted) * scale);
  }
}

template <class T, class Reduce>
__device__ void softmax_backward_line(const T* dy, const T* y, T* dx, Line line, std::int64_t extent,
                                      std::int64_t seen, bool log, Reduce reduce) {
  using C = Computed<T>;
  C sum = 0;
  for (std::int64_t i = line.begin; i < seen; i += line.stride) {
    const std::int64_t at = line.first + i * line.step;
    sum += widen(dy[at]) * (log ? C{1} : widen(y[at]));
  }
  sum = reduce(sum, Add{});
  for (std::int64_t i = line.begin; i < extent; i += line.stride) {
    const std::int64_t at = line.first + i * line.step;
    if (i >= seen) {
      dx[at] = narrow<T>(C{0});
      continue;
    }
    const C gradient = widen(dy[at]), result = widen(y[at]);
    dx[at] = narrow<T>(log ? gradient - ::exp(result) * sum : result * (gradient - sum));
  }
}

// The elements that the block's row sees; the others are masked.
__device__ std::int64_t seen_by_block(std::int64_t extent, std::int64_t causal_rows) {
  if (causal_rows > 0 && blockIdx.x % causal_rows + 1 < extent) return blockIdx.x % causal_rows + 1;
  return extent;
}

template <class T>
__global__ void softmax_rows(std::int64_t extent, std::int64_t causal_rows, bool log, const T* x, T* y) {
  softmax_line(x, y, row_of_block(extent), extent, seen_by_block(extent, causal_rows), log,
               OfBlock<Computed<T>>{shared_memory<Computed<T>>()});
}
template <class T>
__global__ void softmax_lines(std::int64_t lines, std::int64_t extent, std::int64_t inner, bool log,
                              const T* x, T* y) {
  const std::int64_t line = thread_number();
  if (line < lines) softmax_line(x, y, line_of_thread(line, extent, inner), extent, extent, log, OfThread{});
}
template <class T>
__global__ void softmax_backward_rows(std::int64_t extent, std::int64_t causal_rows, bool log, const T* dy,
                                      const T* y, T* dx) {
  softmax_backward_line(dy, y, dx, row_of_block(extent), extent, seen_by_block(extent, causal_rows), log,
                        OfBlock<Computed<T>>{shared_memory<Computed<T>>()});
}
template <class T>
__global__ void softmax_backward_lines(std::int64_t lines, std::int64_t extent, std::int64_t inner, bool log,
                                       const T* dy, const T* y, T* dx) {
  const std::int64_t line = thread_number();
  if (line < lines)
    softmax_backward_line(dy, y, dx, line_of_thread(line, extent, inner), extent, extent, log, OfThread{});
}

constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);

void softmax(const SoftmaxArgs& args, std::span<std::byte>) {
  const Context& context = use(args.y.info->device);
  if (args.extent == 0) return;
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    if (args.inner == 1)
      launch("softmax", context, args.outer, threads_for_row(args.extent), kShared, softmax_rows<T>,
             args.extent, args.causal_rows, args.log, args.x.as<T>(), args.y.as<T>());
    else
      launch_each("softmax", context, args.outer * args.inner, softmax_lines<T>, args.outer * args.inner,
                  args.extent, args.inner, args.log, args.x.as<T>(), args.y.as<T>());
  });
}

void softmax_backward(const SoftmaxBackwardArgs& args, std::span<std::byte>) {
  const Context& context = use(args.dx.info->device);
  if (args.extent == 0) return;
  with_any_floating(args.dy.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    if (args.inner == 1)
      launch("softmax_backward", context, args.outer, threads_for_row(args.extent), kShared,
             softmax_backward_rows<T>, args.extent, args.causal_rows, args.log, args.dy.as<T>(),
             args.y.as<T>(), args.dx.as<T>());
    else
      launch_each("softmax_backward", context, args.outer * args.inner, softmax_backward_lines<T>,
                  args.outer * args.inner, args.extent, args.inner, args.log, args.dy.as<T>(), args.y.as<T>(),
                  args.dx.as<T>());
  });
}

}  // namespace

void fill_softmax() {
  fill_any_floating(softmax_slot, softmax);
  fill_any_floating(softmax_backward_slot, softmax_backward);
}

}  // namespace reprise::cuda
