// Tiles of x and y and the weights stand in three arrays [point][tile or channel][channel]; for each of the 36 points, the
// product of two of them is the third. How the work is cut so that what is used together stays in a second cache:
//   y, dx, many tiles    all weights are transformed; then some tiles at a time, from x to y
//   y, dx, few tiles     all tiles are transformed; then 64 channels of y at a time, from the weights to y
//   dweight, few sums    a quarter of the tiles at a time, into sums of its own
//   dweight, many sums   all tiles are transformed; then 32 x 64 channels at a time
#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/winograd.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/highway.h>

#include "reprise/cpu/dnnl_operation.h"
#include "reprise/cpu/thread_scratch.h"
#include "reprise/cpu/vector_columns.h"
#include "reprise/cpu/vector_product.h"
#include "reprise/cpu/vector_winograd.h"
#include "reprise/cpu/winograd_blocks.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// Images [n, h, w, channels] and where the tiles of 4x4 pixels begin: row r of tiles at pixel 4 r - top.
template <class T>
struct Tiled {
  T* data;
  std::int64_t h, w, channels;
  TileGrid grid;
  std::int64_t top = 0, left = 0;
};

// The matrix of one point.
HWY_INLINE Rows<const float> rows_of(const PointMatrices& m, int point) { return {m.at(point), m.columns}; }

// What begins at tiles [first, last), transformed, into rows `to_row`, `to_row` + 1, ... of `to`: squares of Transform::kFrom
// pixels, 0 outside of the image, of as many channels as `to` has columns, from `channel` on.
template <class Transform, class T>
HWY_INLINE void transform_tiles(const Tiled<const T>& x, std::int64_t channel, std::int64_t first,
                                std::int64_t last, const PointMatrices& to, std::int64_t to_row) {
  constexpr std::int64_t kFrom = Transform::kFrom;
  const std::int64_t n = lanes();
  for (std::int64_t tile = first; tile < last; ++tile) {
    const TileGrid::Place place = x.grid.place(tile);
    const std::int64_t y0 = 4 * place.row - x.top, x0 = 4 * place.column - x.left;
    const std::int64_t corner = ((place.image * x.h + y0) * x.w + x0) * x.channels + channel;
    const bool whole = y0 >= 0 && x0 >= 0 && y0 + kFrom <= x.h && x0 + kFrom <= x.w;
    float* row = to.data + (to_row + tile - first) * to.columns;
    for (std::int64_t c = 0; c < to.columns; c += n) {
      const auto at = [&](int i, int j)
                          HWY_ATTR { return load(x.data + corner + (i * x.w + j) * x.channels + c); };
      const auto write = [&](int i, int j, Vec v)
                             HWY_ATTR { store(v, row + (i * 6 + j) * to.point_stride() + c); };
      if (whole)
        transform_square<Transform>(at, write);
      else
        transform_square<Transform>(
            [&](int i, int j) HWY_ATTR {
              const bool inside = y0 + i >= 0 && y0 + i < x.h && x0 + j >= 0 && x0 + j < x.w;
              return inside ? at(i, j) : hn::Zero(F32());
            },
            write);
    }
  }
}

// Rows of `from` to the pixels of tiles [first, last), to as many channels as it has columns, from `channel` on.
template <class T>
HWY_INLINE void write_tiles(const PointMatrices& from, const Tiled<T>& y, const T* bias, std::int64_t first,
                            std::int64_t last, std::int64_t channel) {
  const std::int64_t n = lanes();
  for (std::int64_t tile = first; tile < last; ++tile) {
    const TileGrid::Place place = y.grid.place(tile);
    const std::int64_t y0 = 4 * place.row, x0 = 4 * place.column;
    const std::int64_t rows = std::min<std::int64_t>(4, y.h - y0),
                       columns = std::min<std::int64_t>(4, y.w - x0);
    const float* row = from.data + (tile - first) * from.columns;
    for (std::int64_t c = 0; c < from.columns; c += n) {
      T* corner = y.data + ((place.image * y.h + y0) * y.w + x0) * y.channels + channel + c;
      const Vec add = bias ? load(bias + channel + c) : hn::Zero(F32());
      transform_square<ToOutput>([&](int i, int j)
                                     HWY_ATTR { return load(row + (i * 6 + j) * from.point_stride() + c); },
                                 [&](int i, int j, Vec v) HWY_ATTR {
                                   if (i < rows && j < columns)
                                     store(hn::Add(v, add), corner + (i * y.w + j) * y.channels);
                                 });
    }
  }
}

// Weights, transformed: rows [to_row, to_row + depth) of `to` are for what is read from channels [from, from + depth) of the
// images, its columns for what is written to the channels from `channel` on. In the forward pass the weights lie the
// other way round, which takes scratch; in the pass back their taps are turned around.
template <class T>
HWY_INLINE void transform_weights(const Convolution& c, const T* weight, Range from, std::int64_t channel,
                                  const PointMatrices& to, std::int64_t to_row, float* scratch) {
  const std::int64_t n = lanes(), depth = from.count, width = to.columns;
  const bool forward = c.pass == ConvolutionPass::forward;
  if (forward) {
    float* widened = scratch + kTaps * depth * width;
    for (std::int64_t tap = 0; tap < kTaps; ++tap) {
      Rows<const float> rows;
      const T* corner = weight + (channel * kTaps + tap) * c.in + from.first;
      if constexpr (std::is_same_v<T, float>) {
        rows = {corner, kTaps * c.in};
      } else {
        for (std::int64_t k = 0; k < width; ++k)
          map(corner + k * kTaps * c.in, widened + k * depth, depth, [](Vec v) HWY_ATTR { return v; });
        rows = {widened, depth};
      }
      transpose(rows, width, depth, Unchanged(), {scratch + tap * depth * width, width}, width);
    }
  }
  for (std::int64_t d = 0; d < depth; ++d)
    for (std::int64_t k = 0; k < width; k += n) {
      float* at = to.data + (to_row + d) * to.columns + k;
      const auto write = [&](int i, int j, Vec v)
                             HWY_ATTR { store(v, at + (i * 6 + j) * to.point_stride()); };
      if (forward)
        transform_square<OfWeight>(
            [&](int i, int j) HWY_ATTR { return load(scratch + ((i * 3 + j) * depth + d) * width + k); },
            write);
      else
        transform_square<OfWeight>(
            [&](int i, int j) HWY_ATTR {
              return load(weight + ((from.first + d) * kTaps + (2 - i) * 3 + 2 - j) * c.in + channel + k);
            },
            write);
    }
}

// m [tiles, width] = v [tiles, depth] u [depth, width] for all points, or added to it.
HWY_INLINE void multiply(const PointMatrices& v, const PointMatrices& u, const PointMatrices& m, bool add) {
  for (int point = 0; point < kPoints; ++point)
    product(m.rows, m.columns, v.columns, {v.at(point), v.columns, 1}, rows_of(u, point),
            {m.at(point), m.columns}, add);
}

template <class T>
void filter(const Convolution& c, const T* x, const T* weight, const T* bias, T* y,
            std::span<std::byte> workspace) {
  const FilterBlocks blocks(c);
  const Tiled<const T> from = {x,           blocks.from_h, blocks.from_w, blocks.depth,
                               blocks.grid, blocks.top,    blocks.left};
  const Tiled<T> to = {y, blocks.to_h, blocks.to_w, blocks.width, blocks.grid};
  std::byte* shared = workspace.data();
  const auto rest = workspace.subspan(blocks.shared_bytes());
  if (blocks.many_tiles) {
    const PointPanels weights = blocks.weights(shared);
    const std::int64_t parts = blocks.depth_parts();
    for_each_with_scratch(weights.count() * parts, blocks.weight_scratch(), rest,
                          [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                            const Range depth = blocks.depth_part(item % parts);
                            transform_weights(c, weight, depth, weights.range(item / parts).first,
                                              weights[item / parts], depth.first,
                                              reinterpret_cast<float*>(scratch));
                          });
    for_each_with_scratch(blocks.tile_parts(), blocks.tile_scratch(), rest,
                          [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                            const auto [first, count] = blocks.tile_part(item);
                            const PointMatrices v = {reinterpret_cast<float*>(scratch), count, blocks.depth};
                            transform_tiles<OfInput>(from, 0, first, first + count, v, 0);
                            for (std::int64_t i = 0; i < weights.count(); ++i) {
                              const PointMatrices m = {v.end(), count, weights[i].columns};
                              multiply(v, weights[i], m, false);
                              write_tiles(m, to, bias, first, first + count, weights.range(i).first);
                            }
                          });
  } else {
    const PointPanels v = blocks.tiles(shared);
    parallel_for(v.rows, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = 0; i < v.count(); ++i)
        transform_tiles<OfInput>(from, v.range(i).first, begin, end, v[i], begin);
    });
    for_each_with_scratch(blocks.width_parts(), blocks.width_scratch(), rest,
                          [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                            const auto [channel, width] = part_of(blocks.width, FilterBlocks::kWidth, item);
                            const PointMatrices m = {reinterpret_cast<float*>(scratch), v.rows, width};
                            for (std::int64_t i = 0; i < v.count(); ++i) {
                              const PointMatrices u = {m.end(), v[i].columns, width};
                              transform_weights(c, weight, v.range(i), channel, u, 0, u.end());
                              multiply(v[i], u, m, i > 0);
                            }
                            write_tiles(m, to, bias, 0, v.rows, channel);
                          });
  }
}

// s [out, in] = e^T v for all points, or added to it: over so many tiles at a time that those of v stay in the nearest cache
// while all of e's channels pass.
HWY_INLINE void multiply_gradients(const PointMatrices& e, const PointMatrices& v, const PointMatrices& s,
                                   bool add) {
  constexpr std::int64_t kTiles = 64;
  for (int point = 0; point < kPoints; ++point)
    for (std::int64_t first = 0; first < v.rows; first += kTiles)
      product<4>(s.rows, s.columns, std::min(kTiles, v.rows - first),
                 {e.at(point) + first * e.columns, 1, e.columns},
                 {v.at(point) + first * v.columns, v.columns}, {s.at(point), s.columns}, add || first > 0);
}

// One row of the sums to dweight[tap * in ...].
HWY_INLINE void write_weight_gradients(const PointMatrices& s, std::int64_t row, float* dweight,
                                       std::int64_t in) {
  for (std::int64_t k = 0; k < s.columns; k += lanes())
    transform_square<ToWeightGradient>(
        [&](int i, int j) HWY_ATTR { return load(s.at(i * 6 + j) + row * s.columns + k); },
        [&](int i, int j, Vec v) HWY_ATTR { store(v, dweight + (i * 3 + j) * in + k); });
}

template <class T>
void weight_gradient(const Convolution& c, const T* dy, const T* x, float* dweight, float* dbias,
                     std::span<std::byte> workspace) {
  const GradientBlocks blocks(c);
  const Tiled<const T> input = {x, c.h, c.w, c.in, blocks.grid, c.options.padding.h, c.options.padding.w};
  const Tiled<const T> gradient = {dy, c.p, c.q, c.out, blocks.grid};
  const std::int64_t tiles = blocks.grid.count();
  std::byte* shared = workspace.data();
  const auto rest = workspace.subspan(blocks.shared_bytes());
  if (blocks.few_sums) {
    constexpr std::int64_t kParts = GradientBlocks::kParts, kTiles = GradientBlocks::kTilesAtOnce;
    for_each_with_scratch(
        kParts, blocks.tile_scratch(), rest, [&](std::int64_t part, std::byte* scratch) HWY_ATTR {
          const std::int64_t begin = part * tiles / kParts, end = (part + 1) * tiles / kParts;
          const PointMatrices s = blocks.sums(shared, part);
          for (std::int64_t first = begin; first < end; first += kTiles) {
            const std::int64_t last = std::min(end, first + kTiles);
            const PointMatrices e = {reinterpret_cast<float*>(scratch), last - first, c.out};
            const PointMatrices v = {e.end(), last - first, c.in};
            transform_tiles<OfOutputGradient>(gradient, 0, first, last, e, 0);
            transform_tiles<OfInput>(input, 0, first, last, v, 0);
            multiply_gradients(e, v, s, first > begin);
          }
        });
    parallel_for(c.out, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      const PointMatrices s = blocks.sums(shared, 0);
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t part = 1; part < kParts; ++part)
          for (int point = 0; point < kPoints; ++point) {
            float* total = s.at(point) + row * c.in;
            map(total, blocks.sums(shared, part).at(point) + row * c.in, total, c.in,
                [](Vec a, Vec b) HWY_ATTR { return hn::Add(a, b); });
          }
        write_weight_gradients(s, row, dweight + row * kTaps * c.in, c.in);
      }
    });
  } else {
    const PointPanels e = blocks.gradients(shared), v = blocks.inputs(shared);
    parallel_for(tiles, 1, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t i = 0; i < e.count(); ++i)
        transform_tiles<OfOutputGradient>(gradient, e.range(i).first, begin, end, e[i], begin);
      for (std::int64_t i = 0; i < v.count(); ++i)
        transform_tiles<OfInput>(input, v.range(i).first, begin, end, v[i], begin);
    });
    for_each_with_scratch(e.count() * v.count(), blocks.sums_scratch(), rest,
                          [&](std::int64_t item, std::byte* scratch) HWY_ATTR {
                            const std::int64_t i = item / v.count(), j = item % v.count();
                            const Range out = e.range(i), in = v.range(j);
                            const PointMatrices s = {reinterpret_cast<float*>(scratch), out.count, in.count};
                            multiply_gradients(e[i], v[j], s, false);
                            for (std::int64_t row = 0; row < out.count; ++row)
                              write_weight_gradients(
                                  s, row, dweight + (out.first + row) * kTaps * c.in + in.first, c.in);
                          });
  }
  if (dbias) {
    const ColumnChunks chunks(c.n * c.p * c.q, c.out);
    const double* sums = column_sums<1>(chunks, workspace,
                                        [=](std::int64_t row, std::int64_t k, auto read)
                                            HWY_ATTR { return Terms<1>{{read(dy + row * c.out + k)}}; });
    for (std::int64_t k = 0; k < c.out; ++k) dbias[k] = static_cast<float>(sums[k]);
  }
}

void filter_of_dtype(const Convolution& c, const void* x, const void* weight, const void* bias, void* y,
                     std::span<std::byte> workspace) {
  with_element(c.dtype, [&](auto element) {
    using T = decltype(element);
    filter(c, static_cast<const T*>(x), static_cast<const T*>(weight), static_cast<const T*>(bias),
           static_cast<T*>(y), workspace);
  });
}
void weight_gradient_of_dtype(const Convolution& c, const void* dy, const void* x, float* dweight,
                              float* dbias, std::span<std::byte> workspace) {
  with_element(c.dtype, [&](auto element) {
    using T = decltype(element);
    weight_gradient(c, static_cast<const T*>(dy), static_cast<const T*>(x), dweight, dbias, workspace);
  });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "reprise/cpu/winograd.h"

namespace reprise::cpu {

HWY_EXPORT(filter_of_dtype);
HWY_EXPORT(weight_gradient_of_dtype);

// The weights are transformed at each call, which takes enough tiles to pay.
bool uses_winograd(const Convolution& c) {
  constexpr std::int64_t kMinTiles = 16, kMinChannels = 32;
  const Conv2dFunctionOptions& o = c.options;
  if (c.dtype == DType::bf16 && multiplies_bf16_by_tiles())
    return false;  // direct convolutions are faster then
  return c.kernel_h == 3 && c.kernel_w == 3 && o.stride == Pair(1) && o.dilation == Pair(1) &&
         o.groups == 1 && o.padding.h <= 1 && o.padding.w <= 1 && c.in % 16 == 0 && c.out % 16 == 0 &&
         c.in >= kMinChannels && c.out >= kMinChannels && TileGrid(c.n, c.p, c.q).count() >= kMinTiles;
}

std::size_t winograd_workspace(const Convolution& c) {
  return c.pass == ConvolutionPass::backward_weight ? GradientBlocks(c).workspace(c.bias)
                                                    : FilterBlocks(c).workspace();
}

void winograd_forward(const Convolution& c, const void* x, const void* weight, const void* bias, void* y,
                      std::span<std::byte> workspace) {
  HWY_DYNAMIC_DISPATCH(filter_of_dtype)(c, x, weight, bias, y, workspace);
}
void winograd_backward_input(const Convolution& c, const void* dy, const void* weight, void* dx,
                             std::span<std::byte> workspace) {
  HWY_DYNAMIC_DISPATCH(filter_of_dtype)(c, dy, weight, nullptr, dx, workspace);
}
void winograd_backward_weight(const Convolution& c, const void* dy, const void* x, float* dweight,
                              float* dbias, std::span<std::byte> workspace) {
  HWY_DYNAMIC_DISPATCH(weight_gradient_of_dtype)(c, dy, x, dweight, dbias, workspace);
}

}  // namespace reprise::cpu
#endif
