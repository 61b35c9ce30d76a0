#pragma once
// Sums and maxima in an order that depends on shapes alone.
#include "reprise/cuda/kernel.cuh"

namespace reprise::cuda {

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// A NaN compares false with everything, itself included, and wins.
struct Greater {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};
struct Less {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};

template <class T, class Combine>
__device__ T reduce_warp(T value, Combine combine) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2)
    value = combine(value, __shfl_xor_sync(~0U, value, lanes));
  return value;
}

// The same result in every thread of a block of whole warps. `shared`: one T a warp, free again when this returns.
template <class T, class Combine>
__device__ T reduce_block(T value, Combine combine, T* shared) {
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  value = reduce_warp(value, combine);
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  value = shared[0];
  for (unsigned i = 1; i < warps; ++i) value = combine(value, shared[i]);
  __syncthreads();
  return value;
}

// A block for a row of this many elements: whole warps, at most kThreads.
inline unsigned threads_for_row(std::int64_t width) {
  return static_cast<unsigned>(
      std::min<std::int64_t>(kThreads, std::max<std::int64_t>(1, divide_up(width, kWarp)) * kWarp));
}

// ---- sums over the rows of a matrix, K at once, in f64: bias gradients, statistics of channels

inline constexpr int kColumns = 32, kRowLanes = 8;  // of a block
inline constexpr std::int64_t kRowsOfBlock = 512;

inline std::int64_t row_chunks(std::int64_t rows) {
  return std::max<std::int64_t>(1, divide_up(rows, kRowsOfBlock));
}

template <int K>
struct Sums {
  double values[K];
};

// What column_sums needs of workspace.
template <int K>
std::size_t column_sums_workspace(std::int64_t rows, std::int64_t columns) {
  return static_cast<std::size_t>(row_chunks(rows) * columns) * sizeof(Sums<K>);
}

// Block (chunk of rows, chunk of columns); partial[chunk of rows][column].
template <int K, class Read>
__global__ void __launch_bounds__(kColumns* kRowLanes)
    sum_column_chunks(std::int64_t rows, std::int64_t columns, Read read, Sums<K>* partial) {
  Sums<K>* shared = shared_memory<Sums<K>>();  // [kRowLanes][kColumns]
  const std::int64_t column_blocks = (columns + kColumns - 1) / kColumns;
  const std::int64_t chunk = blockIdx.x / column_blocks;
  const int x = static_cast<int>(threadIdx.x % kColumns), y = static_cast<int>(threadIdx.x / kColumns);
  const std::int64_t column = blockIdx.x % column_blocks * kColumns + x;
  const std::int64_t last = (chunk + 1) * kRowsOfBlock < rows ? (chunk + 1) * kRowsOfBlock : rows;
  Sums<K> sums = {};
  if (column < columns)
    for (std::int64_t row = chunk * kRowsOfBlock + y; row < last; row += kRowLanes)
      read(row, column, sums.values);
  shared[y * kColumns + x] = sums;
  __syncthreads();
  if (y > 0 || column >= columns) return;
  for (int lane = 1; lane < kRowLanes; ++lane)
    for (int k = 0; k < K; ++k) sums.values[k] += shared[lane * kColumns + x].values[k];
  partial[chunk * columns + column] = sums;
}

template <int K, class Write>
__global__ void combine_column_chunks(std::int64_t chunks, std::int64_t columns, const Sums<K>* partial,
                                      Write write) {
  const std::int64_t column = thread_number();
  if (column >= columns) return;
  Sums<K> sums = {};
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int k = 0; k < K; ++k) sums.values[k] += partial[chunk * columns + column].values[k];
  write(column, sums.values);
}

// read(row, column, sums) adds to K sums; write(column, sums) gets them. Function objects, run on the device.
template <int K, class Read, class Write>
void column_sums(const char* name, const Context& context, std::int64_t rows, std::int64_t columns,
                 std::span<std::byte> workspace, Read read, Write write) {
  auto* partial = reinterpret_cast<Sums<K>*>(workspace.data());
  launch(name, context, row_chunks(rows) * divide_up(columns, kColumns), kColumns * kRowLanes,
         kColumns * kRowLanes * sizeof(Sums<K>), sum_column_chunks<K, Read>, rows, columns, read, partial);
  launch_each(name, context, columns, combine_column_chunks<K, Write>, row_chunks(rows), columns, partial,
              write);
}

// ---- the sum of f(i) for i in [0, count), in f64

inline constexpr std::int64_t kSumOfBlock = 8192;
inline std::int64_t sum_chunks(std::int64_t count) { return divide_up(count, kSumOfBlock); }
inline std::size_t total_workspace(std::int64_t count) {
  return static_cast<std::size_t>(sum_chunks(count)) * sizeof(double);
}

template <class F>
__global__ void sum_chunk(std::int64_t count, F f, double* partial) {
  const std::int64_t first = blockIdx.x * kSumOfBlock;
  const std::int64_t last = first + kSumOfBlock < count ? first + kSumOfBlock : count;
  double sum = 0;
  for (std::int64_t i = first + threadIdx.x; i < last; i += blockDim.x) sum += f(i);
  sum = reduce_block(sum, Add{}, shared_memory<double>());
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class Write>
__global__ void combine_chunks(std::int64_t chunks, const double* partial, Write write) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < chunks; i += blockDim.x) sum += partial[i];
  sum = reduce_block(sum, Add{}, shared_memory<double>());
  if (threadIdx.x == 0) write(sum);
}

// write(sum) is run on the device by one thread.
template <class F, class Write>
void total(const char* name, const Context& context, std::int64_t count, std::span<std::byte> workspace, F f,
           Write write) {
  auto* partial = reinterpret_cast<double*>(workspace.data());
  constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);
  launch(name, context, sum_chunks(count), kThreads, kShared, sum_chunk<F>, count, f, partial);
  launch(name, context, 1, kThreads, kShared, combine_chunks<Write>, sum_chunks(count), partial, write);
}

}  // namespace reprise::cuda
