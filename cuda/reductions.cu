// Sums, maxima and their places over some dimensions.
#include "reprise/cuda/reduce.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/cuda/strided.cuh"
#include "reprise/ops/clip_update.h"
#include "reprise/ops/ops.h"

namespace reprise::cuda {
namespace {

// x as lines of reduced elements, one for each element of the result.
struct Lines {
  Walk<1> kept, reduced;
  std::int64_t count, length;
};

Shape with_ones(const Shape& x, const Shape& kept, bool of_reduced) {
  Shape shape = x;
  for (int d = 0; d < x.rank(); ++d)
    if ((kept[d] == 1) == of_reduced) shape = shape.with(d, 1);
  return shape;
}

Lines lines_of(const Shape& x, const Shape& kept) {
  const Strides strides = contiguous_strides(x);
  const Shape outer = with_ones(x, kept, true), inner = with_ones(x, kept, false);
  return {Walk<1>(outer, {strides}), Walk<1>(inner, {strides}), outer.numel(), inner.numel()};
}

constexpr std::int64_t kChunk = 16384;   // of a line, for one block
constexpr std::int64_t kShortLine = 64;  // a thread's work

std::int64_t chunks_of(const Lines& lines) {
  return lines.length <= kShortLine ? 1 : divide_up(lines.length, kChunk);
}

// What a reduction computes in: sums in f64 and i64, maxima as everything.
template <class T>
using SumOf = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
template <class T>
using ExtremeOf = Computed<T>;

template <class A, class T, class R, class Combine, class Finish>
__global__ void reduce_short_lines(Lines lines, const T* x, R* y, A initial, Combine combine, Finish finish) {
  const std::int64_t line = thread_number();
  if (line >= lines.count) return;
  const T* from = x + lines.kept.place(line);
  A result = initial;
  for (std::int64_t i = 0; i < lines.length; ++i)
    result = combine(result, static_cast<A>(widen(from[lines.reduced.place(i)])));
  y[line] = finish(result);
}

template <class A, class T, class Combine>
__global__ void reduce_line_chunks(Lines lines, std::int64_t chunks, const T* x, A* partial, A initial,
                                   Combine combine) {
  const std::int64_t line = blockIdx.x / chunks, first = blockIdx.x % chunks * kChunk;
  const std::int64_t last = first + kChunk < lines.length ? first + kChunk : lines.length;
  const T* from = x + lines.kept.place(line);
  A result = initial;
  for (std::int64_t i = first + threadIdx.x; i < last; i += blockDim.x)
    result = combine(result, static_cast<A>(widen(from[lines.reduced.place(i)])));
  result = reduce_block(result, combine, shared_memory<A>());
  if (threadIdx.x == 0) partial[blockIdx.x] = result;
}

template <class A, class R, class Combine, class Finish>
__global__ void combine_line_chunks(std::int64_t lines, std::int64_t chunks, const A* partial, R* y,
                                    A initial, Combine combine, Finish finish) {
  const std::int64_t line = thread_number();
  if (line >= lines) return;
  A result = initial;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    result = combine(result, partial[line * chunks + chunk]);
  y[line] = finish(result);
}

std::size_t reduction_workspace(const Shape& x, const Shape& kept) {
  const Lines lines = lines_of(x, kept);
  return lines.length <= kShortLine
             ? 0
             : static_cast<std::size_t>(lines.count * chunks_of(lines)) * sizeof(double);
}

template <class A, class T, class R, class Combine, class Finish>
void reduce(const char* name, const Context& context, const Lines& lines, const T* x, R* y, A initial,
            Combine combine, Finish finish, std::span<std::byte> workspace) {
  if (lines.length <= kShortLine)
    return launch_each(name, context, lines.count, reduce_short_lines<A, T, R, Combine, Finish>, lines, x, y,
                       initial, combine, finish);
  const std::int64_t chunks = chunks_of(lines);
  auto* partial = reinterpret_cast<A*>(workspace.data());
  launch(name, context, lines.count * chunks, kThreads, kThreads / kWarp * sizeof(A),
         reduce_line_chunks<A, T, Combine>, lines, chunks, x, partial, initial, combine);
  launch_each(name, context, lines.count, combine_line_chunks<A, R, Combine, Finish>, lines.count, chunks,
              partial, y, initial, combine, finish);
}

template <class T, class A>
struct Scale {
  A scale;
  __device__ T operator()(A sum) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(sum * scale);
    else
      return narrow<T>(static_cast<Computed<T>>(sum * scale));
  }
};

std::size_t sum_workspace(const SumArgs& args) { return reduction_workspace(args.x.info->shape, args.kept); }

// R: of y's elements.
template <class T, class R>
void sum_into(const SumArgs& args, std::span<std::byte> workspace) {
  using A = SumOf<T>;
  reduce("sum", use(args.y.info->device), lines_of(args.x.info->shape, args.kept), args.x.as<T>(),
         args.y.as<R>(), A{0}, Add{}, Scale<R, A>{static_cast<A>(args.scale)}, workspace);
}
void sum(const SumArgs& args, std::span<std::byte> workspace) {
  with_any_floating(args.x.info->dtype,
                    [&](auto stored) { sum_into<decltype(stored), decltype(stored)>(args, workspace); });
}
template <class T>
void sum_integers(const SumArgs& args, std::span<std::byte> workspace) {
  sum_into<T, std::int64_t>(args, workspace);
}

template <class T, class A>
struct Narrow {
  __device__ T operator()(A value) const { return narrow<T>(value); }
};

std::size_t extreme_workspace(const MaxArgs& args) {
  return reduction_workspace(args.x.info->shape, args.kept);
}

// `highest`: of all values the least that Combine can meet, for max; the greatest, for min.
template <class Combine>
void extreme(const char* name, const MaxArgs& args, std::span<std::byte> workspace, bool highest) {
  const Lines lines = lines_of(args.x.info->shape, args.kept);
  with_number(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    using A = ExtremeOf<T>;
    using Limits = std::numeric_limits<A>;
    const A low = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    const A high = Limits::has_infinity ? Limits::infinity() : Limits::max();
    reduce(name, use(args.y.info->device), lines, args.x.as<T>(), args.y.as<T>(), highest ? low : high,
           Combine{}, Narrow<T, A>{}, workspace);
  });
}
void max(const MaxArgs& args, std::span<std::byte> workspace) {
  extreme<Greater>("max", args, workspace, true);
}
void min(const MaxArgs& args, std::span<std::byte> workspace) {
  extreme<Less>("min", args, workspace, false);
}

// The first place of the greatest; a NaN counts as the greatest.
template <class T>
__global__ void find_greatest(std::int64_t count, std::int64_t extent, std::int64_t step, const T* x,
                              std::int64_t* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const T* from = x + i / step * step * extent + i % step;
  auto greatest = widen(from[0]);
  std::int64_t place = 0;
  for (std::int64_t k = 1; k < extent; ++k) {
    const auto candidate = widen(from[k * step]);
    const bool is_nan = greatest != greatest;
    if (is_nan || !(candidate > greatest || candidate != candidate)) continue;
    greatest = candidate;
    place = k;
  }
  y[i] = place;
}

void argmax(const ArgmaxArgs& args, std::span<std::byte>) {
  const Shape& shape = args.x.info->shape;
  const std::int64_t step = contiguous_strides(shape)[static_cast<std::size_t>(args.dim)];
  const std::int64_t count = args.y.info->shape.numel();
  with_number(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("argmax", use(args.y.info->device), count, find_greatest<T>, count, shape[args.dim], step,
                args.x.as<T>(), args.y.as<std::int64_t>());
  });
}

// ---- bias gradients

template <class T>
struct ReadElement {
  const T* x;
  std::int64_t columns;
  __device__ void operator()(std::int64_t row, std::int64_t column, double (&sums)[1]) const {
    sums[0] += static_cast<double>(widen(x[row * columns + column]));
  }
};
struct WriteSum {
  WritableFloats y;
  __device__ void operator()(std::int64_t column, const double (&sums)[1]) const { y.write(column, sums[0]); }
};

std::size_t column_sum_workspace(const ColumnSumArgs& args) {
  const std::int64_t columns = args.y.info->shape.numel();
  return columns == 0 ? 0 : column_sums_workspace<1>(args.x.info->shape.numel() / columns, columns);
}

void column_sum(const ColumnSumArgs& args, std::span<std::byte> workspace) {
  const std::int64_t columns = args.y.info->shape.numel();
  if (columns == 0) return;
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    column_sums<1>("column_sum", use(args.y.info->device), args.x.info->shape.numel() / columns, columns,
                   workspace, ReadElement<T>{args.x.as<T>(), columns}, WriteSum{args.y});
  });
}

// ---- clipping: gradients are f32 or f64

template <class T>
struct Square {
  const T* x;
  __device__ double operator()(std::int64_t i) const {
    const auto value = static_cast<double>(x[i]);
    return value * value;
  }
};
struct WriteTotal {
  double* to;
  __device__ void operator()(double sum) const { *to = sum; }
};

std::size_t square_sum_workspace(const SquareSumArgs& args) {
  return total_workspace(args.x.info->shape.numel()) + sizeof(double);
}

template <class T>
void square_sum(const SquareSumArgs& args, std::span<std::byte> workspace) {
  const Device device = args.x.info->device;
  auto* result = reinterpret_cast<double*>(workspace.data());
  total("square_sum", use(device), args.x.info->shape.numel(), workspace.subspan(sizeof(double)),
        Square<T>{args.x.as<T>()}, WriteTotal{result});
  services(device.index).copy(args.result, result, sizeof(double));
}

template <class T>
__global__ void scale_elements(std::int64_t count, T factor, T* x) {
  const std::int64_t i = thread_number();
  if (i < count) x[i] *= factor;
}

template <class T>
void scale_in_place(const ScaleInPlaceArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.x.info->shape.numel();
  launch_each("scale_in_place", use(args.x.info->device), count, scale_elements<T>, count,
              static_cast<T>(args.factor), args.x.as<T>());
}

}  // namespace

void fill_reductions() {
  fill_any_floating(sum_slot, sum, sum_workspace);
  fill(sum_slot, {DType::i32}, sum_integers<std::int32_t>, sum_workspace);
  fill(sum_slot, {DType::i64}, sum_integers<std::int64_t>, sum_workspace);
  fill(sum_slot, {DType::u8}, sum_integers<std::uint8_t>, sum_workspace);
  fill(sum_slot, {DType::boolean}, sum_integers<bool>, sum_workspace);
  fill_numbers(max_slot, max, extreme_workspace);
  fill_numbers(min_slot, min, extreme_workspace);
  fill_numbers(argmax_slot, argmax);
  fill_any_floating(column_sum_slot, column_sum, column_sum_workspace);
  fill(square_sum_slot, {DType::f32}, square_sum<float>, square_sum_workspace);
  fill(square_sum_slot, {DType::f64}, square_sum<double>, square_sum_workspace);
  fill(scale_in_place_slot, {DType::f32}, scale_in_place<float>);
  fill(scale_in_place_slot, {DType::f64}, scale_in_place<double>);
}

}  // namespace reprise::cuda
