// Normalization over rows (layer_norm) and over all but the channels (batch_norm). Sums are made in f64, as on the CPU.
#include "reprise/cuda/reduce.cuh"
#include "reprise/cuda/slots.h"
#include "reprise/ops/batch_norm.h"
#include "reprise/ops/layer_norm.h"

namespace reprise::cuda {
namespace {

constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);

// ---- layer_norm: a block a row

template <class T>
__global__ void layer_norm_rows(std::int64_t width, double eps, const T* x_all, FloatsIn<Computed<T>> weight,
                                FloatsIn<Computed<T>> bias, T* y_all, Computed<T>* mean, Computed<T>* rstd) {
  const std::int64_t row = blockIdx.x;
  const T* x = x_all + row * width;
  double* shared = shared_memory<double>();
  double sum = 0, squares = 0;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) sum += static_cast<double>(widen(x[i]));
  const double average = reduce_block(sum, Add{}, shared) / static_cast<double>(width);
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const double difference = static_cast<double>(widen(x[i])) - average;
    squares += difference * difference;
  }
  squares = reduce_block(squares, Add{}, shared);
  const auto row_mean = static_cast<Computed<T>>(average);
  const auto row_rstd = static_cast<Computed<T>>(1.0 / ::sqrt(squares / static_cast<double>(width) + eps));
  if (threadIdx.x == 0) {
    mean[row] = row_mean;
    rstd[row] = row_rstd;
  }
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x)
    y_all[row * width + i] = narrow<T>((widen(x[i]) - row_mean) * row_rstd * weight[i] + bias[i]);
}

void layer_norm(const LayerNormArgs& args, std::span<std::byte>) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch("layer_norm", use(args.x.info->device), rows, threads_for_row(width), kShared, layer_norm_rows<T>,
           width, args.eps, args.x.as<T>(), args.weight, args.bias, args.y.as<T>(),
           args.mean.as<Computed<T>>(), args.rstd.as<Computed<T>>());
  });
}

// With h = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - h mean(g h)).
template <class T>
__global__ void layer_norm_backward_rows(std::int64_t width, const T* dy_all, const T* x_all,
                                         FloatsIn<Computed<T>> weight, const Computed<T>* mean,
                                         const Computed<T>* rstd, T* dx_all) {
  const std::int64_t row = blockIdx.x;
  const T *dy = dy_all + row * width, *x = x_all + row * width;
  double* shared = shared_memory<double>();
  double sum = 0, products = 0;
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const auto g = static_cast<double>(widen(dy[i]) * weight[i]);
    sum += g;
    products += g * static_cast<double>((widen(x[i]) - mean[row]) * rstd[row]);
  }
  const auto mean_g = static_cast<Computed<T>>(reduce_block(sum, Add{}, shared) / static_cast<double>(width));
  const auto mean_gh =
      static_cast<Computed<T>>(reduce_block(products, Add{}, shared) / static_cast<double>(width));
  for (std::int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const Computed<T> h = (widen(x[i]) - mean[row]) * rstd[row];
    dx_all[row * width + i] = narrow<T>(rstd[row] * (widen(dy[i]) * weight[i] - mean_g - h * mean_gh));
  }
}

// dbias = sum(dy), dweight = sum(dy h) over the rows.
template <class T>
struct ReadLayerNormGradient {
  const T *dy, *x;
  const Computed<T>*mean, *rstd;
  std::int64_t width;
  __device__ void operator()(std::int64_t row, std::int64_t column, double (&sums)[2]) const {
    const std::int64_t i = row * width + column;
    const auto gradient = static_cast<double>(widen(dy[i]));
    sums[0] += gradient;
    sums[1] += gradient * static_cast<double>((widen(x[i]) - mean[row]) * rstd[row]);
  }
};
struct WriteBiasAndWeight {
  WritableFloats dbias, dweight;
  __device__ void operator()(std::int64_t column, const double (&sums)[2]) const {
    dbias.write(column, sums[0]);
    dweight.write(column, sums[1]);
  }
};

std::size_t layer_norm_backward_workspace(const LayerNormBackwardArgs& args) {
  return args.dweight.info
             ? column_sums_workspace<2>(args.mean.info->shape.numel(), args.weight.info->shape[0])
             : 0;
}

void layer_norm_backward(const LayerNormBackwardArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.x.info->device);
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    const Computed<T>*mean = args.mean.as<Computed<T>>(), *rstd = args.rstd.as<Computed<T>>();
    if (args.dx.info)
      launch("layer_norm_backward", context, rows, threads_for_row(width), kShared,
             layer_norm_backward_rows<T>, width, args.dy.as<T>(), args.x.as<T>(), args.weight, mean, rstd,
             args.dx.as<T>());
    if (args.dweight.info)
      column_sums<2>("layer_norm_backward", context, rows, width, workspace,
                     ReadLayerNormGradient<T>{args.dy.as<T>(), args.x.as<T>(), mean, rstd, width},
                     WriteBiasAndWeight{args.dbias, args.dweight});
  });
}

// ---- batch_norm

std::int64_t channels_of(const ConstView& x) { return x.info->shape[-1]; }
std::int64_t rows_of(const ConstView& x) { return x.info->shape.without(-1).numel(); }

// Of the differences from the first row, so that a large mean takes no digits from the variance.
template <class T>
struct ReadDeviation {
  const T* x;
  std::int64_t channels;
  __device__ void operator()(std::int64_t row, std::int64_t channel, double (&sums)[2]) const {
    const double difference =
        static_cast<double>(widen(x[row * channels + channel])) - static_cast<double>(widen(x[channel]));
    sums[0] += difference;
    sums[1] += difference * difference;
  }
};
template <class T>
struct WriteStatistics {
  const T* x;
  double rows, eps;
  Computed<T>*mean, *rstd;
  __device__ void operator()(std::int64_t channel, const double (&sums)[2]) const {
    const double shifted = sums[0] / rows;
    const double variance = fmax(0.0, sums[1] / rows - shifted * shifted);
    mean[channel] = static_cast<Computed<T>>(static_cast<double>(widen(x[channel])) + shifted);
    rstd[channel] = static_cast<Computed<T>>(1.0 / ::sqrt(variance + eps));
  }
};

template <class T>
__global__ void batch_norm_elements(std::int64_t count, std::int64_t channels, bool relu, const T* x,
                                    FloatsIn<Computed<T>> weight, FloatsIn<Computed<T>> bias,
                                    FloatsIn<Computed<T>> residual, const Computed<T>* mean,
                                    const Computed<T>* rstd, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t c = i % channels;
  Computed<T> value = (widen(x[i]) - mean[c]) * rstd[c] * weight[c] + bias[c];
  if (residual) value += residual[i];
  y[i] = narrow<T>(relu && value < 0 ? Computed<T>{0} : value);
}

std::size_t batch_norm_workspace(const BatchNormArgs& args) {
  return column_sums_workspace<2>(rows_of(args.x), channels_of(args.x));
}

void batch_norm(const BatchNormArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.x.info->device);
  const std::int64_t channels = channels_of(args.x), rows = rows_of(args.x);
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    Computed<T>*mean = args.mean.as<Computed<T>>(), *rstd = args.rstd.as<Computed<T>>();
    const T* x = args.x.as<T>();
    column_sums<2>("batch_norm", context, rows, channels, workspace, ReadDeviation<T>{x, channels},
                   WriteStatistics<T>{x, static_cast<double>(rows), args.eps, mean, rstd});
    launch_each("batch_norm", context, rows * channels, batch_norm_elements<T>, rows * channels, channels,
                args.relu, x, args.weight, args.bias, args.residual, mean, rstd, args.y.as<T>());
  });
}

// With h = (x - mean) rstd, n rows and g the gradient that passes the ReLU:
//   dbias = sum(g), dweight = sum(g h), dx = weight rstd (g - dbias / n - h dweight / n)
template <class T>
struct Passed {
  const T *dy, *y;  // y is null without a ReLU
  __device__ Computed<T> operator()(std::int64_t i) const {
    return y && !(widen(y[i]) > 0) ? Computed<T>{0} : widen(dy[i]);
  }
};
template <class T>
struct ReadBatchNormGradient {
  Passed<T> passed;
  const T* x;
  const Computed<T>*mean, *rstd;
  std::int64_t channels;
  __device__ void operator()(std::int64_t row, std::int64_t channel, double (&sums)[2]) const {
    const std::int64_t i = row * channels + channel;
    const auto gradient = static_cast<double>(passed(i));
    sums[0] += gradient;
    sums[1] += gradient * static_cast<double>((widen(x[i]) - mean[channel]) * rstd[channel]);
  }
};
// Into the workspace as well, as they are computed with: dweight and dbias may be of 16 bits.
template <class C>
struct WriteBiasWeightAndSums {
  WritableFloats dbias, dweight;
  C* sums_of_channel;
  __device__ void operator()(std::int64_t channel, const double (&sums)[2]) const {
    dbias.write(channel, sums[0]);
    dweight.write(channel, sums[1]);
    sums_of_channel[2 * channel] = static_cast<C>(sums[0]);
    sums_of_channel[2 * channel + 1] = static_cast<C>(sums[1]);
  }
};

template <class T>
__global__ void batch_norm_backward_elements(std::int64_t count, std::int64_t channels, Computed<T> per_row,
                                             Passed<T> passed, const T* x, FloatsIn<Computed<T>> weight,
                                             const Computed<T>* mean, const Computed<T>* rstd,
                                             const Computed<T>* sums, T* dx, T* dresidual) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t c = i % channels;
  const Computed<T> gradient = passed(i);
  if (dresidual) dresidual[i] = narrow<T>(gradient);
  if (!dx) return;
  const Computed<T> h = (widen(x[i]) - mean[c]) * rstd[c];
  dx[i] = narrow<T>(weight[c] * rstd[c] * (gradient - (sums[2 * c] + h * sums[2 * c + 1]) * per_row));
}

std::size_t batch_norm_backward_workspace(const BatchNormBackwardArgs& args) {
  return column_sums_workspace<2>(rows_of(args.x), channels_of(args.x)) +
         2 * static_cast<std::size_t>(channels_of(args.x)) * sizeof(double);
}

void batch_norm_backward(const BatchNormBackwardArgs& args, std::span<std::byte> workspace) {
  const Context& context = use(args.x.info->device);
  const std::int64_t channels = channels_of(args.x), rows = rows_of(args.x);
  const std::size_t partial = column_sums_workspace<2>(rows, channels);
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    using C = Computed<T>;
    auto* sums = reinterpret_cast<C*>(workspace.data() + partial);
    const Computed<T>*mean = args.mean.as<Computed<T>>(), *rstd = args.rstd.as<Computed<T>>();
    const Passed<T> passed{args.dy.as<T>(), args.relu ? args.y.as<T>() : nullptr};
    const T* x = args.x.as<T>();
    column_sums<2>("batch_norm_backward", context, rows, channels, workspace.first(partial),
                   ReadBatchNormGradient<T>{passed, x, mean, rstd, channels},
                   WriteBiasWeightAndSums<C>{args.dbias, args.dweight, sums});
    if (args.dx.info || args.dresidual.info)
      launch_each("batch_norm_backward", context, rows * channels, batch_norm_backward_elements<T>,
                  rows * channels, channels, 1 / static_cast<C>(rows), passed, x, args.weight, mean, rstd,
                  sums, args.dx.as<T>(), args.dresidual.as<T>());
  });
}

template <class T>
__global__ void batch_norm_inference_elements(std::int64_t count, std::int64_t channels, Computed<T> eps,
                                              const T* x, FloatsIn<Computed<T>> weight,
                                              FloatsIn<Computed<T>> bias, FloatsIn<Computed<T>> mean,
                                              FloatsIn<Computed<T>> variance, T* y) {
  const std::int64_t i = thread_number();
  if (i >= count) return;
  const std::int64_t c = i % channels;
  y[i] = narrow<T>((widen(x[i]) - mean[c]) / ::sqrt(variance[c] + eps) * weight[c] + bias[c]);
}

void batch_norm_inference(const BatchNormInferenceArgs& args, std::span<std::byte>) {
  const std::int64_t count = args.x.info->shape.numel();
  with_any_floating(args.x.info->dtype, [&](auto stored) {
    using T = decltype(stored);
    launch_each("batch_norm_inference", use(args.x.info->device), count, batch_norm_inference_elements<T>,
                count, channels_of(args.x), static_cast<Computed<T>>(args.eps), args.x.as<T>(), args.weight,
                args.bias, args.mean, args.variance, args.y.as<T>());
  });
}

}  // namespace

void fill_norms() {
  fill_any_floating(layer_norm_slot, layer_norm);
  fill_any_floating(layer_norm_backward_slot, layer_norm_backward, layer_norm_backward_workspace);
  fill_any_floating(batch_norm_slot, batch_norm, batch_norm_workspace);
  fill_any_floating(batch_norm_backward_slot, batch_norm_backward, batch_norm_backward_workspace);
  fill_any_floating(batch_norm_inference_slot, batch_norm_inference);
}

}  // namespace reprise::cuda
