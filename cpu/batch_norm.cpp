// Batch norm over the rows of [rows, channels], vectorized over the channels. Sums are made of each channel less its
// first value, which the variance does not depend on, so that they do not cancel.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/batch_norm.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <cmath>

#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_columns.h"
#include "reprise/ops/batch_norm.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

inline constexpr std::int64_t kGrain = 16384;  // elements worth a thread

// y[row + c] = value(row, c, read) for the rows' first places 0, channels, 2 channels, ...: row by row, so that the
// channels' factors stay in the nearest cache.
template <class T, class Value>
HWY_INLINE void fill_rows(T* y, std::int64_t rows, std::int64_t channels, Value value) {
  const bool past_caches = goes_past_caches(y, rows, channels);
  parallel_for(rows, kGrain / (channels + 1) + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t r = end; r-- > begin;) {  // backwards: the last rows were read just now
      const std::int64_t row = r * channels;
      const auto place = [=](std::int64_t c, auto read) HWY_ATTR { return value(row, c, read); };
      if (past_caches)
        map_places_past_caches(y + row, channels, place);
      else
        map_places(y + row, channels, place);
    }
    hwy::FlushStream();
  });
}

// The workspace: the sums' (ColumnChunks), then some rows of `channels` floats.
struct Workspace {
  std::span<std::byte> sums;
  float* rows;
  Workspace(const ColumnChunks& chunks, std::span<std::byte> all)
      : sums(all), rows(reinterpret_cast<float*>(all.data() + chunks.workspace(2))) {}
};

HWY_INLINE Vec positive(Vec x) { return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(F32())), x); }  // NaN stays

// y = (x - mean) slope + bias, and what follows it: a residual's add, ReLU.
template <class T>
void normalize(const T* x, const float* mean, const float* slope, const float* bias, const T* residual, T* y,
               std::int64_t rows, std::int64_t channels, bool relu) {
  const auto normalized = [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
    return hn::MulAdd(hn::Sub(read(x + row + c), read(mean + c)), read(slope + c), read(bias + c));
  };
  if (residual)
    fill_rows(y, rows, channels, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
      return positive(hn::Add(normalized(row, c, read), read(residual + row + c)));
    });
  else if (relu)
    fill_rows(y, rows, channels, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
      return positive(normalized(row, c, read));
    });
  else
    fill_rows(y, rows, channels, normalized);
}

template <class T>
void forward(const BatchNormArgs& args, std::span<std::byte> bytes) {
  const std::int64_t channels = args.x.info->shape[-1], rows = args.x.info->shape.without(-1).numel();
  const T* x = args.x.as<T>();
  const float *weight = args.weight.as<float>(), *bias = args.bias.as<float>();
  T* y = args.y.as<T>();
  float *mean = args.mean.as<float>(), *rstd = args.rstd.as<float>();
  const ColumnChunks chunks(rows, channels);
  const Workspace workspace(chunks, bytes);
  const double* sums =
      column_sums<2>(chunks, workspace.sums, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
        const Vec difference = hn::Sub(read(x + row * channels + c), read(x + c));
        return Terms<2>{{difference, hn::Mul(difference, difference)}};
      });
  float* slope = workspace.rows;
  const auto count = static_cast<double>(rows);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double shifted = sums[c] / count, square = sums[channels + c] / count;
    const double deviation = 1.0 / std::sqrt(std::max(square - shifted * shifted, 0.0) + args.eps);
    mean[c] = static_cast<float>(shifted + static_cast<double>(as_float(x[c])));
    rstd[c] = static_cast<float>(deviation);
    slope[c] = static_cast<float>(deviation * static_cast<double>(weight[c]));
  }
  normalize(x, mean, slope, bias, args.residual.as<T>(), y, rows, channels, args.relu);
}

// With h = (x - mean) rstd, n rows and g the gradient that passes the ReLU:
//   dbias = sum(g), dweight = sum(g h), dx = weight rstd (g - dbias / n - h dweight / n)
// which is slope g + per_difference (x - mean) + constant.
// Where the residual's gradient is wanted, g is written to it by the first pass, and read there by the second.
template <class T, bool Relu, bool Residual>
void backward(const BatchNormBackwardArgs& args, std::span<std::byte> bytes) {
  const std::int64_t channels = args.x.info->shape[-1], rows = args.x.info->shape.without(-1).numel();
  const T *dy = args.dy.as<T>(), *x = args.x.as<T>(), *y = args.y.as<T>();
  const float *mean = args.mean.as<float>(), *rstd = args.rstd.as<float>(), *weight = args.weight.as<float>();
  T* dresidual = args.dresidual.as<T>();
  const auto passed = [=](std::int64_t i, auto read) HWY_ATTR {
    const Vec g = read(dy + i);
    if constexpr (Relu) return hn::IfThenElseZero(hn::Gt(read(y + i), hn::Zero(F32())), g);
    return g;
  };
  const ColumnChunks chunks(rows, channels);
  const Workspace workspace(chunks, bytes);
  const bool past_caches = Residual && goes_past_caches(dresidual, rows, channels);
  const double* sums =
      column_sums<2>(chunks, workspace.sums, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
        const std::int64_t i = row * channels + c;
        const Vec g = passed(i, read);
        if constexpr (Residual) {
          if (past_caches)
            read.write_past_caches(g, dresidual + i);
          else
            read.write(g, dresidual + i);
        }
        return Terms<2>{{g, hn::Mul(g, hn::Sub(read(x + i), read(mean + c)))}};
      });
  float *slope = workspace.rows, *per_difference = slope + channels, *constant = per_difference + channels;
  const auto count = static_cast<double>(rows);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto deviation = static_cast<double>(rstd[c]), factor = deviation * static_cast<double>(weight[c]);
    const double dweight = sums[channels + c] * deviation;
    args.dbias.as<float>()[c] = static_cast<float>(sums[c]);
    args.dweight.as<float>()[c] = static_cast<float>(dweight);
    slope[c] = static_cast<float>(factor);
    per_difference[c] = static_cast<float>(-factor * deviation * dweight / count);
    constant[c] = static_cast<float>(-factor * sums[c] / count);
  }
  if (!args.dx.info) return;
  T* dx = args.dx.as<T>();
  fill_rows(dx, rows, channels, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
    const Vec difference = hn::Sub(read(x + row + c), read(mean + c));
    const Vec g = Residual ? read(dresidual + row + c) : passed(row + c, read);
    return hn::MulAdd(g, read(slope + c),
                      hn::MulAdd(difference, read(per_difference + c), read(constant + c)));
  });
}

void batch_norm(const BatchNormArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight, args.bias}))
    return run_plain(batch_norm_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) { forward<decltype(element)>(args, workspace); });
}
void batch_norm_backward(const BatchNormBackwardArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight}))
    return run_plain(batch_norm_backward_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) {
    using T = decltype(element);
    if (args.dresidual.info)
      backward<T, true, true>(args, workspace);
    else if (args.relu)
      backward<T, true, false>(args, workspace);
    else
      backward<T, false, false>(args, workspace);
  });
}

void batch_norm_inference(const BatchNormInferenceArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight, args.bias, args.mean, args.variance}))
    return run_plain(batch_norm_inference_slot, args, workspace, args.x.info->dtype);
  const std::int64_t channels = args.x.info->shape[-1], rows = args.x.info->shape.without(-1).numel();
  auto* slope = reinterpret_cast<float*>(workspace.data());
  for (std::int64_t c = 0; c < channels; ++c)
    slope[c] = static_cast<float>(static_cast<double>(args.weight.as<float>()[c]) /
                                  std::sqrt(static_cast<double>(args.variance.as<float>()[c]) + args.eps));
  with_element(args.x.info->dtype, [&](auto element) {
    using T = decltype(element);
    normalize<T>(args.x.as<T>(), args.mean.as<float>(), slope, args.bias.as<float>(), nullptr, args.y.as<T>(),
                 rows, channels, false);
  });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(batch_norm);
HWY_EXPORT(batch_norm_backward);
HWY_EXPORT(batch_norm_inference);

namespace {

std::size_t bytes_of(const ValueInfo& x, std::int64_t rows_of_channels) {
  const std::int64_t channels = x.shape[-1];
  return ColumnChunks(x.shape.without(-1).numel(), channels).workspace(2) +
         static_cast<std::size_t>(rows_of_channels * channels) * sizeof(float);
}
std::size_t batch_norm_workspace(const BatchNormArgs& args) {
  if (!are_f32({args.weight, args.bias})) return plain_workspace(batch_norm_slot, args, args.x.info->dtype);
  return bytes_of(*args.x.info, 1);
}
std::size_t batch_norm_backward_workspace(const BatchNormBackwardArgs& args) {
  if (!are_f32({args.weight})) return plain_workspace(batch_norm_backward_slot, args, args.x.info->dtype);
  return bytes_of(*args.x.info, 3);
}
std::size_t batch_norm_inference_workspace(const BatchNormInferenceArgs& args) {
  if (!are_f32({args.weight, args.bias, args.mean, args.variance}))
    return plain_workspace(batch_norm_inference_slot, args, args.x.info->dtype);
  return static_cast<std::size_t>(args.x.info->shape[-1]) * sizeof(float);
}

}  // namespace

void fill_fast_batch_norm() {
  fill_both(batch_norm_slot, HWY_DYNAMIC_DISPATCH(batch_norm), batch_norm_workspace);
  fill_both(batch_norm_backward_slot, HWY_DYNAMIC_DISPATCH(batch_norm_backward),
            batch_norm_backward_workspace);
  fill_both(batch_norm_inference_slot, HWY_DYNAMIC_DISPATCH(batch_norm_inference),
            batch_norm_inference_workspace);
}

}  // namespace reprise::cpu
#endif
