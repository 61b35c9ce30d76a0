// Max pooling, vectorized over the channels, for windows of at most 255 places (whose index is u8); larger ones go to
// the plain loops.
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/max_pool2d.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "reprise/core/parallel.h"
#include "reprise/cpu/plain/pool_windows.h"
#include "reprise/cpu/plain_fallback.h"
#include "reprise/cpu/vector_math.h"
#include "reprise/ops/max_pool2d.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

using I32 = hn::RebindToSigned<F32>;
using U8 = hn::Rebind<std::uint8_t, F32>;
using Places = hn::Vec<I32>;  // of a window, one a lane

inline constexpr std::int64_t kGrain = 8192;  // elements worth a thread

// Reads and writes the places of whole vectors of channels, or of those that are left.
HWY_INLINE void write_places(Places places, std::uint8_t* to, std::int64_t count) {
  HWY_ALIGN std::array<std::uint8_t, kMaxLanes> all;
  hn::StoreU(hn::DemoteTo(U8(), places), U8(), all.data());
  std::memcpy(to, all.data(), static_cast<std::size_t>(count));
}
HWY_INLINE Places read_places(const std::uint8_t* from, std::int64_t count) {
  HWY_ALIGN std::array<std::uint8_t, kMaxLanes> all = {};
  std::memcpy(all.data(), from, static_cast<std::size_t>(count));
  return hn::PromoteTo(I32(), hn::LoadU(U8(), all.data()));
}

template <class T>
void pool(const MaxPool2dArgs& args) {
  const Shape &x_shape = args.x.info->shape, &y_shape = args.y.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  const T* x = args.x.as<T>();
  T* y = args.y.as<T>();
  auto* index = args.index.as<std::uint8_t>();
  const std::int64_t n = lanes();
  const Places nobody = hn::Set(I32(), static_cast<std::int32_t>(args.kernel_size.h * args.kernel_size.w));
  parallel_for(
      y_shape[0] * p, kGrain / (q * channels + 1) + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t row = begin; row < end; ++row) {
          const Window rows = window(row % p, h, args.kernel_size.h, args.stride.h, args.padding.h);
          for (std::int64_t column = 0; column < q; ++column) {
            const Window columns = window(column, w, args.kernel_size.w, args.stride.w, args.padding.w);
            const T* from = x + ((row / p * h + rows.origin) * w + columns.origin) * channels;
            const std::int64_t to = (row * q + column) * channels;
            const auto winner = [&](std::int64_t c, auto read, Vec& best, Places& place) HWY_ATTR {
              best = read(from + (rows.first * w + columns.first) * channels + c);
              place =
                  hn::Set(I32(), static_cast<std::int32_t>(rows.first * args.kernel_size.w + columns.first));
              for (std::int64_t i = rows.first; i < rows.last; ++i)
                for (std::int64_t j = columns.first; j < columns.last; ++j) {
                  const Vec value = read(from + (i * w + j) * channels + c);
                  // Not (value <= best), which a NaN makes true as well; but the first NaN stays.
                  const auto wins = hn::And(hn::Not(hn::Le(value, best)), hn::Eq(best, best));
                  best = hn::IfThenElse(wins, value, best);
                  const auto here = hn::Set(I32(), static_cast<std::int32_t>(i * args.kernel_size.w + j));
                  place = hn::IfThenElse(hn::RebindMask(I32(), wins), here, place);
                }
              if (!args.relu) return;
              const auto passes = hn::Not(hn::Le(best, hn::Zero(F32())));  // NaN does
              best = hn::IfThenElseZero(passes, best);
              place = hn::IfThenElse(hn::RebindMask(I32(), passes), place, nobody);
            };
            Vec best;
            Places place;
            std::int64_t c = 0;
            for (; c + n <= channels; c += n) {
              winner(c, WholeVectors(), best, place);
              store(best, y + to + c);
              hn::StoreU(hn::DemoteTo(U8(), place), U8(), index + to + c);
            }
            if (c < channels) {
              winner(c, LastLanes{channels - c}, best, place);
              store_part(best, y + to + c, channels - c);
              write_places(place, index + to + c, channels - c);
            }
          }
        }
      });
}

// Windows that cover the image without gaps or overlaps: each hands its gradient to one of its places, the others get 0.
template <class T>
void backward_of_tiles(const MaxPool2dBackwardArgs& args) {
  const Shape &x_shape = args.dx.info->shape, &y_shape = args.dy.info->shape;
  const std::int64_t w = x_shape[2], channels = x_shape[3], q = y_shape[2], n = lanes();
  const auto* index = args.index.as<std::uint8_t>();
  const std::int64_t rows = y_shape[0] * y_shape[1], height = args.kernel_size.h, width = args.kernel_size.w;
  parallel_for(
      rows, kGrain / (height * w * channels + 1) + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t row = begin; row < end; ++row)
          for (std::int64_t column = 0; column < q; ++column) {
            const std::int64_t from = (row * q + column) * channels;
            T* to = args.dx.as<T>() + (row * height * w + column * width) * channels;
            for (std::int64_t c = 0; c < channels; c += n) {
              const std::int64_t count = std::min(n, channels - c);
              const Vec g = count == n ? load(args.dy.as<T>() + from + c)
                                       : load_part(args.dy.as<T>() + from + c, count);
              const Places places = count == n ? hn::PromoteTo(I32(), hn::LoadU(U8(), index + from + c))
                                               : read_places(index + from + c, count);
              for (std::int64_t i = 0; i < height; ++i)
                for (std::int64_t j = 0; j < width; ++j) {
                  const auto here = hn::Set(I32(), static_cast<std::int32_t>(i * width + j));
                  const Vec part = hn::IfThenElseZero(hn::RebindMask(F32(), hn::Eq(places, here)), g);
                  T* place = to + (i * w + j) * channels + c;
                  count == n ? store(part, place) : store_part(part, place, count);
                }
            }
          }
      });
}

// Each element of dx looks for the windows that it won, so that no two threads write the same one.
template <class T>
void backward(const MaxPool2dBackwardArgs& args) {
  const Shape &x_shape = args.dx.info->shape, &y_shape = args.dy.info->shape;
  const std::int64_t h = x_shape[1], w = x_shape[2], channels = x_shape[3], p = y_shape[1], q = y_shape[2];
  if (args.stride == args.kernel_size && args.padding == Pair(0) && h == p * args.kernel_size.h &&
      w == q * args.kernel_size.w)
    return backward_of_tiles<T>(args);
  const T* dy = args.dy.as<T>();
  const auto* index = args.index.as<std::uint8_t>();
  T* dx = args.dx.as<T>();
  const std::int64_t n = lanes();
  parallel_for(
      x_shape[0] * h, kGrain / (w * channels + 1) + 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
        for (std::int64_t row = begin; row < end; ++row) {
          const Covering rows = covering(row % h, p, args.kernel_size.h, args.stride.h, args.padding.h);
          for (std::int64_t column = 0; column < w; ++column) {
            const Covering columns = covering(column, q, args.kernel_size.w, args.stride.w, args.padding.w);
            T* to = dx + (row * w + column) * channels;
            for (std::int64_t c = 0; c < channels; c += n) {
              const std::int64_t count = std::min(n, channels - c);
              Vec total = hn::Zero(F32());
              for (std::int64_t a = rows.first; a < rows.last; ++a)
                for (std::int64_t b = columns.first; b < columns.last; ++b) {
                  const std::int64_t from = ((row / h * p + a) * q + b) * channels + c;
                  const std::int64_t i = row % h + args.padding.h - a * args.stride.h;
                  const std::int64_t j = column + args.padding.w - b * args.stride.w;
                  const auto here = hn::Set(I32(), static_cast<std::int32_t>(i * args.kernel_size.w + j));
                  const Places places = count == n ? hn::PromoteTo(I32(), hn::LoadU(U8(), index + from))
                                                   : read_places(index + from, count);
                  const Vec g = count == n ? load(dy + from) : load_part(dy + from, count);
                  total = hn::Add(total, hn::IfThenElseZero(hn::RebindMask(F32(), hn::Eq(places, here)), g));
                }
              count == n ? store(total, to + c) : store_part(total, to + c, count);
            }
          }
        }
      });
}

void max_pool2d(const MaxPool2dArgs& args, std::span<std::byte> workspace) {
  if (args.index.info->dtype != DType::u8)
    return run_plain(max_pool2d_slot, args, workspace, args.x.info->dtype);
  with_element(args.x.info->dtype, [&](auto element) { pool<decltype(element)>(args); });
}
void max_pool2d_backward(const MaxPool2dBackwardArgs& args, std::span<std::byte> workspace) {
  if (args.index.info->dtype != DType::u8)
    return run_plain(max_pool2d_backward_slot, args, workspace, args.dx.info->dtype);
  with_element(args.dx.info->dtype, [&](auto element) { backward<decltype(element)>(args); });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/fast_slots.h"

namespace reprise::cpu {

HWY_EXPORT(max_pool2d);
HWY_EXPORT(max_pool2d_backward);

namespace {

// Of the plain loops, where they run.
std::size_t max_pool2d_workspace(const MaxPool2dArgs& args) {
  if (args.index.info->dtype == DType::u8) return 0;
  return plain_workspace(max_pool2d_slot, args, args.x.info->dtype);
}
std::size_t max_pool2d_backward_workspace(const MaxPool2dBackwardArgs& args) {
  if (args.index.info->dtype == DType::u8) return 0;
  return plain_workspace(max_pool2d_backward_slot, args, args.dx.info->dtype);
}

}  // namespace

void fill_fast_max_pool2d() {
  fill_both(max_pool2d_slot, HWY_DYNAMIC_DISPATCH(max_pool2d), max_pool2d_workspace);
  fill_both(max_pool2d_backward_slot, HWY_DYNAMIC_DISPATCH(max_pool2d_backward),
            max_pool2d_backward_workspace);
}

}  // namespace reprise::cpu
#endif
