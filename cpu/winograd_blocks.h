#pragma once
// How a convolution by Winograd's method is cut into work, by its shape alone, and what workspace that takes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "reprise/cpu/column_chunks.h"
#include "reprise/cpu/convolution.h"
#include "reprise/cpu/ranges.h"
#include "reprise/cpu/thread_scratch.h"

namespace reprise::cpu {

inline constexpr int kPoints = 36, kTaps = 9;

// Tiles of 4x4 pixels that cover images of h x w.
struct TileGrid {
  std::int64_t images, rows, columns;
  TileGrid(std::int64_t n, std::int64_t h, std::int64_t w)
      : images(n), rows((h + 3) / 4), columns((w + 3) / 4) {}

  struct Place {
    std::int64_t image, row, column;
  };
  std::int64_t count() const { return images * rows * columns; }
  Place place(std::int64_t tile) const {
    return {tile / (rows * columns), tile / columns % rows, tile % columns};
  }
};

// A matrix [rows, columns] for each of the 36 points. They begin a cache line apart from where they would, so that equal
// places of all points do not share the same few lines of a cache.
struct PointMatrices {
  float* data;
  std::int64_t rows, columns;

  std::int64_t point_stride() const { return rows * columns + 16; }
  float* at(int point) const { return data + point * point_stride(); }
  float* end() const { return at(kPoints); }
  static std::int64_t floats(std::int64_t rows, std::int64_t columns) {
    return kPoints * (rows * columns + 16);
  }
  static std::size_t bytes(std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(floats(rows, columns)) * sizeof(float);
  }
};

// Such matrices of many columns, `width` columns at a time, so that what is multiplied together lies together.
struct PointPanels {
  float* data;
  std::int64_t rows, columns, width;

  std::int64_t count() const { return parts_of(columns, width); }
  Range range(std::int64_t i) const { return part_of(columns, width, i); }
  PointMatrices operator[](std::int64_t i) const {
    return {data + i * PointMatrices::floats(rows, width), rows, range(i).count};
  }
  std::size_t bytes() const { return static_cast<std::size_t>(count()) * PointMatrices::bytes(rows, width); }
};

// The forward pass, from x to y, and the gradient of the input, from dy to dx.
struct FilterBlocks {
  static constexpr std::int64_t kWidth = 64, kDepth = 64;  // of the weights that are transformed at once
  static constexpr std::int64_t kTilesAtOnce = 24;         // where there are many
  std::int64_t from_h, from_w, depth, to_h, to_w, width, top, left;
  TileGrid grid;
  bool many_tiles;

  explicit FilterBlocks(const Convolution& c) : FilterBlocks(c, c.pass == ConvolutionPass::forward) {}

  // In `shared`: the weights, all of them transformed, or all tiles.
  PointPanels weights(std::byte* shared) const {
    return {reinterpret_cast<float*>(shared), depth, width, kWidth};
  }
  PointPanels tiles(std::byte* shared) const {
    return {reinterpret_cast<float*>(shared), grid.count(), depth, kDepth};
  }
  std::size_t shared_bytes() const { return many_tiles ? weights(nullptr).bytes() : tiles(nullptr).bytes(); }

  std::int64_t width_parts() const { return parts_of(width, kWidth); }
  std::int64_t depth_parts() const { return parts_of(depth, kDepth); }
  Range depth_part(std::int64_t i) const { return part_of(depth, kDepth, i); }
  std::int64_t tile_parts() const { return parts_of(grid.count(), kTilesAtOnce); }
  Range tile_part(std::int64_t i) const { return part_of(grid.count(), kTilesAtOnce, i); }

  // For kDepth x kWidth weights the other way round, and as many in f32.
  std::size_t weight_scratch() const {
    return static_cast<std::size_t>((kTaps + 1) * kDepth * kWidth) * sizeof(float);
  }
  std::size_t tile_scratch() const {
    return PointMatrices::bytes(kTilesAtOnce, depth) + PointMatrices::bytes(kTilesAtOnce, kWidth);
  }
  std::size_t width_scratch() const {
    return PointMatrices::bytes(grid.count(), kWidth) + PointMatrices::bytes(kDepth, kWidth) +
           weight_scratch();
  }
  std::size_t workspace() const {
    if (!many_tiles) return shared_bytes() + scratch_workspace(width_parts(), width_scratch());
    return shared_bytes() + std::max(scratch_workspace(width_parts() * depth_parts(), weight_scratch()),
                                     scratch_workspace(tile_parts(), tile_scratch()));
  }

 private:
  FilterBlocks(const Convolution& c, bool forward)
      : from_h(forward ? c.h : c.p),
        from_w(forward ? c.w : c.q),
        depth(forward ? c.in : c.out),
        to_h(forward ? c.p : c.h),
        to_w(forward ? c.q : c.w),
        width(forward ? c.out : c.in),
        top(forward ? c.options.padding.h : 2 - c.options.padding.h),
        left(forward ? c.options.padding.w : 2 - c.options.padding.w),
        grid(c.n, to_h, to_w),
        many_tiles(grid.count() > width) {}
};

// The gradient of the weight.
struct GradientBlocks {
  static constexpr std::int64_t kParts = 4;  // of the tiles, each with sums of its own: for as many threads
  static constexpr std::int64_t kOut = 32, kIn = 64;  // of sums that are made together where there are many
  static constexpr std::int64_t kFewSums = 8192, kTilesAtOnce = 32;
  std::int64_t in, out;
  TileGrid grid;
  std::int64_t rows;  // of dy's pixels
  bool few_sums;

  explicit GradientBlocks(const Convolution& c)
      : in(c.in),
        out(c.out),
        grid(c.n, c.p, c.q),
        rows(c.n * c.p * c.q),
        few_sums(c.in * c.out <= kFewSums) {}

  // In `shared`: the sums of each part; or all tiles of dy, then those of x.
  PointMatrices sums(std::byte* shared, std::int64_t part) const {
    return {reinterpret_cast<float*>(shared) + part * PointMatrices::floats(out, in), out, in};
  }
  PointPanels gradients(std::byte* shared) const {
    return {reinterpret_cast<float*>(shared), grid.count(), out, kOut};
  }
  PointPanels inputs(std::byte* shared) const {
    return {reinterpret_cast<float*>(shared + gradients(nullptr).bytes()), grid.count(), in, kIn};
  }
  std::size_t shared_bytes() const {
    if (few_sums) return static_cast<std::size_t>(kParts) * PointMatrices::bytes(out, in);
    return gradients(nullptr).bytes() + inputs(nullptr).bytes();
  }

  std::size_t tile_scratch() const {
    return PointMatrices::bytes(kTilesAtOnce, out) + PointMatrices::bytes(kTilesAtOnce, in);
  }
  std::size_t sums_scratch() const { return PointMatrices::bytes(kOut, kIn); }
  std::size_t workspace(bool bias) const {
    const std::size_t products =
        shared_bytes() +
        (few_sums ? scratch_workspace(kParts, tile_scratch())
                  : scratch_workspace(gradients(nullptr).count() * inputs(nullptr).count(), sums_scratch()));
    return std::max(products, bias ? ColumnChunks(rows, out).workspace(1) : 0);
  }
};

}  // namespace reprise::cpu
