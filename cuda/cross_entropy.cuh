#pragma once
// Losses over classes, by a kernel for the rows of logits: of cross_entropy and linear_cross_entropy.
#include "reprise/cuda/reduce.cuh"

namespace reprise::cuda {

struct Targets {
  const std::int64_t* values;
  std::int64_t classes, ignore_index;
  Targets from(std::int64_t first) const { return {values + first, classes, ignore_index}; }
  __device__ bool counts(std::int64_t position) const {
    const std::int64_t target = values[position];
    return target != ignore_index && target >= 0 && target < classes;
  }
};

// A position's loss, and whether it counts: summed by two calls of total().
struct Count {
  Targets targets;
  __device__ double operator()(std::int64_t position) const { return targets.counts(position) ? 1.0 : 0.0; }
};
struct Store {
  double* to;
  __device__ void operator()(double sum) const { *to = sum; }
};
// loss = total / *count
struct StoreMean {
  WritableFloats loss;
  const double* count;
  __device__ void operator()(double sum) const { loss.write(0, sum / *count); }
};

// The highest logit of a row, for every thread of the block.
template <class T>
__device__ Computed<T> highest_of_row(const T* x, std::int64_t classes, double* shared) {
  using C = Computed<T>;
  C highest = -INFINITY;
  for (std::int64_t c = threadIdx.x; c < classes; c += blockDim.x) highest = ::fmax(highest, widen(x[c]));
  return reduce_block(highest, Greater{}, reinterpret_cast<C*>(shared));
}

// A block computes one position: log_sum, and the loss of the position (0 if the position does not count).
template <class T>
__global__ void cross_entropy_rows(Targets targets, double smoothing, const T* logits, Computed<T>* log_sums,
                                   double* losses) {
  using C = Computed<T>;
  const std::int64_t position = blockIdx.x, classes = targets.classes;
  const T* x = logits + position * classes;
  double* shared = shared_memory<double>();
  const C highest = highest_of_row(x, classes, shared);
  double exponentials = 0, sum = 0;
  for (std::int64_t c = threadIdx.x; c < classes; c += blockDim.x) {
    exponentials += static_cast<double>(::exp(widen(x[c]) - highest));
    sum += static_cast<double>(widen(x[c]));
  }
  exponentials = reduce_block(exponentials, Add{}, shared);
  sum = reduce_block(sum, Add{}, shared);
  if (threadIdx.x > 0) return;
  const double log_sum = log(exponentials), log_sum_exp = static_cast<double>(highest) + log_sum;
  log_sums[position] = static_cast<C>(log_sum);
  if (!targets.counts(position)) {
    losses[position] = 0;
    return;
  }
  const double of_target = log_sum_exp - static_cast<double>(widen(x[targets.values[position]]));
  losses[position] =
      (1 - smoothing) * of_target + smoothing * (log_sum_exp - sum / static_cast<double>(classes));
}

struct Stored {
  const double* values;
  __device__ double operator()(std::int64_t i) const { return values[i]; }
};

// The count of positions, then a partial sum for each chunk of them, then (forward) their losses.
struct LossWorkspace {
  double* count;
  std::span<std::byte> partial;
  double* losses;
  static std::size_t bytes(std::int64_t positions, bool losses) {
    return sizeof(double) + total_workspace(positions) +
           (losses ? static_cast<std::size_t>(positions) * sizeof(double) : 0);
  }
  LossWorkspace(std::span<std::byte> workspace, std::int64_t positions)
      : count(reinterpret_cast<double*>(workspace.data())),
        partial(workspace.subspan(sizeof(double), total_workspace(positions))),
        losses(reinterpret_cast<double*>(workspace.data() + sizeof(double) + partial.size())) {}
};

// A block computes one position. dlogits may be logits.
template <class T>
__global__ void cross_entropy_backward_rows(Targets targets, double smoothing, const double* count,
                                            const Computed<T>* dloss, const T* logits,
                                            const Computed<T>* log_sums, T* dlogits) {
  using C = Computed<T>;
  const std::int64_t position = blockIdx.x, classes = targets.classes;
  const T* x = logits + position * classes;
  T* dx = dlogits + position * classes;
  const bool counts = targets.counts(position);
  const C highest = highest_of_row(x, classes, shared_memory<double>()), log_sum = log_sums[position];
  const C scale = static_cast<C>(static_cast<double>(*dloss) / *count), smooth = static_cast<C>(smoothing);
  for (std::int64_t c = threadIdx.x; c < classes; c += blockDim.x) {
    C gradient = ::exp(widen(x[c]) - highest - log_sum) - smooth / static_cast<C>(classes);
    if (c == targets.values[position]) gradient -= 1 - smooth;
    dx[c] = narrow<T>(counts ? scale * gradient : C{0});
  }
}

}  // namespace reprise::cuda
