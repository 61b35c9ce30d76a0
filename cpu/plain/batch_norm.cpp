// Statistics in double, two passes (the mean, then squares of differences from it), each channel by one thread.
#include "reprise/ops/batch_norm.h"

#include <cmath>

#include "reprise/cpu/plain/channels.h"
#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void batch_norm(const BatchNormArgs& args, std::span<std::byte>) {
  const std::int64_t channels = args.x.info->shape[-1], rows = args.x.info->shape.without(-1).numel();
  const T *x = args.x.as<T>(), *weight = args.weight.as<T>(), *bias = args.bias.as<T>();
  const T* residual = args.residual.as<T>();
  T *y = args.y.as<T>(), *mean = args.mean.as<T>(), *rstd = args.rstd.as<T>();
  const auto count_of_rows = static_cast<double>(rows);
  for_each_channel_block(rows, channels, [&](std::int64_t first, std::int64_t count) {
    ChannelSums means = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      return static_cast<double>(x[row * channels + c]);
    });
    for (double& value : means) value /= count_of_rows;
    const ChannelSums squares = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      const double difference =
          static_cast<double>(x[row * channels + c]) - means[static_cast<std::size_t>(c - first)];
      return difference * difference;
    });
    for (std::int64_t c = 0; c < count; ++c) {
      const auto at = static_cast<std::size_t>(c);
      mean[first + c] = static_cast<T>(means[at]);
      rstd[first + c] = static_cast<T>(1.0 / std::sqrt(squares[at] / count_of_rows + args.eps));
    }
  });
  parallel_for(rows, grain_for(channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = row * channels + c;
        T value = (x[i] - mean[c]) * rstd[c] * weight[c] + bias[c];
        if (residual) value += residual[i];
        y[i] = args.relu && value < 0 ? T{0} : value;
      }
  });
}

// With h = (x - mean) rstd, n rows and g the gradient that passes the ReLU:
//   dbias = sum(g), dweight = sum(g h), dx = weight rstd (g - dbias / n - h dweight / n)
template <class T>
void batch_norm_backward(const BatchNormBackwardArgs& args, std::span<std::byte>) {
  const std::int64_t channels = args.x.info->shape[-1], rows = args.x.info->shape.without(-1).numel();
  const T *dy = args.dy.as<T>(), *x = args.x.as<T>(), *weight = args.weight.as<T>(), *y = args.y.as<T>();
  const T *mean = args.mean.as<T>(), *rstd = args.rstd.as<T>();
  T *dweight = args.dweight.as<T>(), *dbias = args.dbias.as<T>(), *dx = args.dx.as<T>();
  const auto passed = [&](std::int64_t i) { return args.relu && !(y[i] > 0) ? T{0} : dy[i]; };
  for_each_channel_block(rows, channels, [&](std::int64_t first, std::int64_t count) {
    const ChannelSums sums = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      return static_cast<double>(passed(row * channels + c));
    });
    const ChannelSums products = sum_rows(rows, first, count, [&](std::int64_t row, std::int64_t c) {
      const std::int64_t i = row * channels + c;
      return static_cast<double>(passed(i)) * static_cast<double>((x[i] - mean[c]) * rstd[c]);
    });
    for (std::int64_t c = 0; c < count; ++c) {
      dbias[first + c] = static_cast<T>(sums[static_cast<std::size_t>(c)]);
      dweight[first + c] = static_cast<T>(products[static_cast<std::size_t>(c)]);
    }
  });
  if (args.dresidual.info) {
    T* dresidual = args.dresidual.as<T>();
    parallel_for(rows * channels, grain_for(1), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) dresidual[i] = passed(i);
    });
  }
  if (!args.dx.info) return;
  const T per_row = T{1} / static_cast<T>(rows);
  parallel_for(rows, grain_for(channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = row * channels + c;
        const T h = (x[i] - mean[c]) * rstd[c];
        dx[i] = weight[c] * rstd[c] * (passed(i) - (dbias[c] + h * dweight[c]) * per_row);
      }
  });
}

template <class T>
void batch_norm_inference(const BatchNormInferenceArgs& args, std::span<std::byte>) {
  const std::int64_t channels = args.x.info->shape[-1], rows = args.x.info->shape.without(-1).numel();
  const T *x = args.x.as<T>(), *weight = args.weight.as<T>(), *bias = args.bias.as<T>();
  const T *mean = args.mean.as<T>(), *variance = args.variance.as<T>();
  T* y = args.y.as<T>();
  const T eps = static_cast<T>(args.eps);
  parallel_for(rows, grain_for(4 * channels), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t i = row * channels + c;
        y[i] = (x[i] - mean[c]) / std::sqrt(variance[c] + eps) * weight[c] + bias[c];
      }
  });
}

}  // namespace

void fill_batch_norm() {
  fill_floating(batch_norm_slot, batch_norm<float>, batch_norm<double>);
  fill_floating(batch_norm_backward_slot, batch_norm_backward<float>, batch_norm_backward<double>);
  fill_floating(batch_norm_inference_slot, batch_norm_inference<float>, batch_norm_inference<double>);
  fill_widened<batch_norm_slot, &BatchNormArgs::x, &BatchNormArgs::weight, &BatchNormArgs::bias,
               &BatchNormArgs::residual, &BatchNormArgs::y>();
  fill_widened<batch_norm_backward_slot, &BatchNormBackwardArgs::dy, &BatchNormBackwardArgs::x,
               &BatchNormBackwardArgs::weight, &BatchNormBackwardArgs::y, &BatchNormBackwardArgs::dweight,
               &BatchNormBackwardArgs::dbias, &BatchNormBackwardArgs::dx,
               &BatchNormBackwardArgs::dresidual>();
  fill_widened<batch_norm_inference_slot, &BatchNormInferenceArgs::x, &BatchNormInferenceArgs::weight,
               &BatchNormInferenceArgs::bias, &BatchNormInferenceArgs::mean,
               &BatchNormInferenceArgs::variance, &BatchNormInferenceArgs::y>();
}

}  // namespace reprise::cpu
