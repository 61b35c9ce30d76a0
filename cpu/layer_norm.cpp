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
// Rows are read once: what they add to dweight and dbias is summed in f32 over a few rows, in double beyond.
template <class T, bool kWeight>
void backward(const LayerNormBackwardArgs& args, std::span<std::byte> workspace) {
  constexpr std::int64_t kRows = 32;  // that are summed in f32
  const std::int64_t width = args.weight.info->shape[0], rows = args.mean.info->shape.numel();
  const T *all_x = args.x.as<T>(), *all_dy = args.dy.as<T>();
  T* all_dx = args.dx.as<T>();
  const float *means = args.mean.as<float>(), *rstds = args.rstd.as<float>(),
              *weight = args.weight.as<float>();
  const ColumnChunks chunks(rows, width);
  // For each chunk: sums of dy and of dy h in double, the same over a few rows in f32.
  auto* sums = reinterpret_cast<double*>(workspace.data());
  auto* few_sums = reinterpret_cast<float*>(workspace.data() + (kWeight ? chunks.workspace(2) : 0));

  const auto one_row = [=](std::int64_t row, float* dbias, float* dweight) HWY_ATTR {
    const T *x = all_x + row * width, *dy = all_dy + row * width;
    const Vec mean = set(means[row]), rstd = set(rstds[row]);
    const auto h = [=](std::int64_t i, auto read)
                       HWY_ATTR { return hn::Mul(hn::Sub(read(x + i), mean), rstd); };
    const auto g = [=](std::int64_t i, auto read)
                       HWY_ATTR { return hn::Mul(read(dy + i), read(weight + i)); };
    if constexpr (kWeight) {
      const auto add = [=](std::int64_t i, auto read) HWY_ATTR {
        const Vec gradient = read(dy + i);
        read.write(hn::Add(read(dbias + i), gradient), dbias + i);
        read.write(hn::MulAdd(gradient, h(i, read), read(dweight + i)), dweight + i);
      };
      for_places(width, add);
    }
    if (!all_dx) return;
    const float g_sum = row_sum(width, g);
    const float gh_sum =
        row_sum(width, [=](std::int64_t i, auto read) HWY_ATTR { return hn::Mul(g(i, read), h(i, read)); });
    const Vec mean_g = set(g_sum / static_cast<float>(width)),
              mean_gh = set(gh_sum / static_cast<float>(width));
    map_places(all_dx + row * width, width, [=](std::int64_t i, auto read) HWY_ATTR {
      return hn::Mul(rstd, hn::NegMulAdd(h(i, read), mean_gh, hn::Sub(g(i, read), mean_g)));
    });
  };
  parallel_for(chunks.count, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = chunk * chunks.rows_per_chunk;
      const std::int64_t last = std::min(rows, first + chunks.rows_per_chunk);
      if constexpr (kWeight) {
        double* total = sums + chunk * 2 * width;
        float* few = few_sums + chunk * 2 * width;
        std::fill_n(total, 2 * width, 0.0);
        for (std::int64_t row = first; row < last; row += kRows) {
          std::fill_n(few, 2 * width, 0.0F);
          for (std::int64_t i = row; i < std::min(last, row + kRows); ++i) one_row(i, few, few + width);
          add_to_doubles(few, total, 2 * width);
        }
      } else {
        for (std::int64_t row = first; row < last; ++row) one_row(row, nullptr, nullptr);
      }
    }
  });
  if (!kWeight) return;
  for (std::int64_t chunk = 1; chunk < chunks.count; ++chunk)
    for (std::int64_t i = 0; i < 2 * width; ++i) sums[i] += sums[chunk * 2 * width + i];
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
  with_element(args.x.info->dtype, [&](auto element) {
    if (args.dweight.info)
      backward<decltype(element), true>(args, workspace);
    else
      backward<decltype(element), false>(args, workspace);
  });
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
  return ColumnChunks(args.mean.info->shape.numel(), args.weight.info->shape[0]).workspace(3);
}

}  // namespace

void fill_fast_layer_norm() {
  fill_both(layer_norm_slot, HWY_DYNAMIC_DISPATCH(layer_norm), layer_norm_workspace);
  fill_both(layer_norm_backward_slot, HWY_DYNAMIC_DISPATCH(layer_norm_backward),
            layer_norm_backward_workspace);
}

}  // namespace reprise::cpu
#endif
