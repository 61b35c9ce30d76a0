// RMS norm, a row at a time, vectorized along the row.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/rms_norm.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <cmath>

#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_columns.h"
#include "reprise/cpu/vector_rows.h"
#include "reprise/ops/rms_norm.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

template <class T>
void forward(const RmsNormArgs& args) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.rstd.info->shape.numel();
  const float* weight = args.weight.as<float>();
  parallel_for(rows, rows_worth_a_thread(width), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* x = args.x.as<T>() + row * width;
      const float squares = row_sum(width, [=](std::int64_t i, auto read) HWY_ATTR {
        const Vec v = read(x + i);
        return hn::Mul(v, v);
      });
      const auto scale = static_cast<float>(
          1.0 / std::sqrt(static_cast<double>(squares) / static_cast<double>(width) + args.eps));
      args.rstd.as<float>()[row] = scale;
      const Vec rstd = set(scale);
      map_places(args.y.as<T>() + row * width, width, [=](std::int64_t i, auto read) HWY_ATTR {
        return hn::Mul(hn::Mul(read(x + i), rstd), read(weight + i));
      });
    }
  });
}

// With h = x rstd and g = dy weight:
//   dx = rstd (g - h mean(g h)) per row; dweight = sum(dy h) over the rows
template <class T>
void backward(const RmsNormBackwardArgs& args, std::span<std::byte> workspace) {
  const std::int64_t width = args.weight.info->shape[0], rows = args.rstd.info->shape.numel();
  const T *all_x = args.x.as<T>(), *all_dy = args.dy.as<T>();
  const float *weight = args.weight.as<float>(), *rstds = args.rstd.as<float>();
  if (args.dx.info)
    parallel_for(rows, rows_worth_a_thread(width), [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t row = begin; row < end; ++row) {
        const T *x = all_x + row * width, *dy = all_dy + row * width;
        const Vec rstd = set(rstds[row]);
        const auto g = [=](std::int64_t i, auto read)
                           HWY_ATTR { return hn::Mul(read(dy + i), read(weight + i)); };
        const auto h = [=](std::int64_t i, auto read) HWY_ATTR { return hn::Mul(read(x + i), rstd); };
        const float gh_sum = row_sum(
            width, [=](std::int64_t i, auto read) HWY_ATTR { return hn::Mul(g(i, read), h(i, read)); });
        const Vec mean_gh = set(gh_sum / static_cast<float>(width));
        map_places(args.dx.as<T>() + row * width, width, [=](std::int64_t i, auto read) HWY_ATTR {
          return hn::Mul(rstd, hn::NegMulAdd(h(i, read), mean_gh, g(i, read)));
        });
      }
    });
  if (!args.dweight.info) return;
  const double* sums = column_sums<1>(
      ColumnChunks(rows, width), workspace, [=](std::int64_t row, std::int64_t c, auto read) HWY_ATTR {
        const Vec dy = read(all_dy + row * width + c), x = read(all_x + row * width + c);
        return Terms<1>{{hn::Mul(dy, hn::Mul(x, set(rstds[row])))}};
      });
  for (std::int64_t c = 0; c < width; ++c) args.dweight.as<float>()[c] = static_cast<float>(sums[c]);
}

// Weights of 16 bits go to the plain loops.
void rms_norm(const RmsNormArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight})) return run_plain(rms_norm_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) { forward<decltype(element)>(args); });
}
void rms_norm_backward(const RmsNormBackwardArgs& args, std::span<std::byte> workspace) {
  if (!are_f32({args.weight})) return run_plain(rms_norm_backward_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) { backward<decltype(element)>(args, workspace); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(rms_norm);
HWY_EXPORT(rms_norm_backward);

namespace {

std::size_t rms_norm_workspace(const RmsNormArgs& args) {
  return are_f32({args.weight}) ? 0 : plain_workspace(rms_norm_slot, args, args.x.info->dtype);
}
std::size_t rms_norm_backward_workspace(const RmsNormBackwardArgs& args) {
  if (!are_f32({args.weight})) return plain_workspace(rms_norm_backward_slot, args, args.x.info->dtype);
  if (!args.dweight.info) return 0;
  return ColumnChunks(args.rstd.info->shape.numel(), args.weight.info->shape[0]).workspace(1);
}

}  // namespace

void fill_fast_rms_norm() {
  fill_both(rms_norm_slot, HWY_DYNAMIC_DISPATCH(rms_norm), rms_norm_workspace);
  fill_both(rms_norm_backward_slot, HWY_DYNAMIC_DISPATCH(rms_norm_backward), rms_norm_backward_workspace);
}

}  // namespace reprise::cpu
#endif
