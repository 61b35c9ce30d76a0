// Layer norm, a row at a time, vectorized along the row.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/layer_norm.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <cmath>

#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_columns.h"
#include "reprise/cpu/vector_rows.h"
#include "reprise/ops/layer_norm.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

template <class T>
void forward(const LayerNormArgs& args) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  const float *weight = args.weight.as<float>(), *bias = args.bias.as<float>();
  parallel_for(rows, rows_worth_a_thread(width), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = args.x.as<T>() + row * width;
      const float average = row_sum(width, [=](std::int64_t i, auto read) HWY_ATTR { return read(x + i); }) /
                            static_cast<float>(width);
      const Vec mean = set(average);
      const float squares = row_sum(width, [=](std::int64_t i, auto read) HWY_ATTR {
        const Vec difference = hn::Sub(read(x + i), mean);
        return hn::Mul(difference, difference);
      });
      const double variance = static_cast<double>(squares) / static_cast<double>(width);
      const auto deviation = static_cast<float>(1.0 / std::sqrt(variance + args.eps));
      args.mean.as<float>()[row] = average;
      args.rstd.as<float>()[row] = deviation;
      const Vec rstd = set(deviation);
      map_places(args.y.as<T>() + row * width, width, [=](std::int64_t i, auto read) HWY_ATTR {
        return hn::MulAdd(hn::Mul(hn::Sub(read(x + i), mean), rstd), read(weight + i), read(bias + i));
      });
    }
  });
}

// With h = (x - mean) rstd and g = dy weight:
//   dx = rstd (g - mean(g) - h mean(g h)) per row; dweight = sum(dy h), dbias = sum(dy) over the rows
template <class T>
void backward(const LayerNormBackwardArgs& args, std::span<std::byte> workspace) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  const T *all_x = args.x.as<T>(), *all_dy = args.dy.as<T>();
  const float* weight = args.weight.as<float>();
  const float *means = args.mean.as<float>(), *rstds = args.rstd.as<float>();
  if (args.dx.info)
    parallel_for(rows, rows_worth_a_thread(width), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t row = begin; row < end; ++row) {
        const T *x = all_x + row * width, *dy = all_dy + row * width;
        const Vec mean = set(means[row]), rstd = set(rstds[row]);
        const auto g = [=](std::int64_t i, auto read)
                           HWY_ATTR { return hn::Mul(read(dy + i), read(weight + i)); };
        const auto h = [=](std::int64_t i, auto read)
                           HWY_ATTR { return hn::Mul(hn::Sub(read(x + i), mean), rstd); };
        const float g_sum = row_sum(width, g);
        const float gh_sum = row_sum(
            width, [=](std::int64_t i, auto read) HWY_ATTR { return hn::Mul(g(i, read), h(i, read)); });
        const Vec mean_g = set(g_sum / static_cast<float>(width)),
                  mean_gh = set(gh_sum / static_cast<float>(width));
        map_places(args.dx.as<T>() + row * width, width, [=](std::int64_t i, auto read) HWY_ATTR {
          return hn::Mul(rstd, hn::NegMulAdd(h(i, read), mean_gh, hn::Sub(g(i, read), mean_g)));
        });
      }
    });
  if (!args.dweight.info) return;
  const double* sums = column_sums<2>(
      ColumnChunks(rows, width), workspace, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
        const Vec dy = read(all_dy + row * width + c), x = read(all_x + row * width + c);
        return Terms<2>{{dy, hn::Mul(dy, hn::Mul(hn::Sub(x, set(means[row])), set(rstds[row])))}};
      });
  for (std::int64_t c = 0; c < width; ++c) {
    args.dbias.as<float>()[c] = static_cast<float>(sums[c]);
    args.dweight.as<float>()[c] = static_cast<float>(sums[width + c]);
  }
}

// Weights of 16 bits go to the plain loops.
void layer_norm(const LayerNormArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight, args.bias}))
    return run_plain(layer_norm_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) { forward<decltype(element)>(args); });
}
void layer_norm_backward(const LayerNormBackwardArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight}))
    return run_plain(layer_norm_backward_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) { backward<decltype(element)>(args, workspace); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(layer_norm);
HWY_EXPORT(layer_norm_backward);

namespace {

std::size_t layer_norm_workspace(const LayerNormArgs& args) {
  if (!are_f32({args.weight, args.bias})) return plain_workspace(layer_norm_slot, args, args.x.info->dtype);
  return 0;
}
std::size_t layer_norm_backward_workspace(const LayerNormBackwardArgs& args) {
  if (!are_f32({args.weight})) return plain_workspace(layer_norm_backward_slot, args, args.x.info->dtype);
  if (!args.dweight.info) return 0;
  return ColumnChunks(args.mean.info->shape.numel(), args.weight.info->shape[0]).workspace(2);
}

}  // namespace

void fill_fast_layer_norm() {
  fill_both(layer_norm_slot, HWY_DYNAMIC_DISPATCH(layer_norm), layer_norm_workspace);
  fill_both(layer_norm_backward_slot, HWY_DYNAMIC_DISPATCH(layer_norm_backward),
            layer_norm_backward_workspace);
}

}  // namespace reprise::cpu
#endif
