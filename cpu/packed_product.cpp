#include "reprise/cpu/vector_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reprise/cpu/packed_product.cpp"
#include <hwy/foreach_target.h>
// After it:
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <array>

#include "reprise/cpu/packed_product.h"
#include "reprise/cpu/packed_product_tiles.h"
#include "reprise/cpu/supported_targets.h"
#include "reprise/cpu/thread_scratch.h"
#include "reprise/cpu/vector_product.h"

HWY_BEFORE_NAMESPACE();
namespace reprise::cpu::HWY_NAMESPACE {

// The columns of `depth` rows into panels [depth][kWidth] of `to`, some rows at a time, so that lines are filled while they
// are near, and the same places of the rows after them are fetched, which lie too far apart for the processor to foresee.
// What stands beyond the last column is not read.
template <std::int64_t kWidth, class T, class RowAt>
HWY_INLINE void pack(std::int64_t depth, Range columns, RowAt row_at, float* to) {
  constexpr std::int64_t kRows = 8;
  const std::int64_t n = lanes(), panels = parts_of(columns.count, kWidth);
  std::array<const T*, kRows> rows, next;
  for (std::int64_t first = 0; first < depth; first += kRows) {
    const auto count = static_cast<std::size_t>(std::min(kRows, depth - first));
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t row = first + static_cast<std::int64_t>(i);
      rows[i] = row_at(row) + columns.first;
      next[i] = row_at(std::min(row + kRows, depth - 1)) + columns.first;
    }
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      const std::int64_t column = panel * kWidth, left = columns.count - column;
      float* at = to + panel * ProductTiles::panel_stride(kWidth) + first * kWidth;
      for (std::size_t i = 0; i < count; ++i, at += kWidth) {
        hwy::Prefetch(next[i] + column);
        for (std::int64_t c = 0; c < kWidth; c += n) {
          const T* from = rows[i] + column + c;
          store(c + n <= left ? load(from) : load_part(from, std::max<std::int64_t>(left - c, 0)), at + c);
        }
      }
    }
  }
}

// y [rows, columns] = a^T b, or added to it, from their panels.
HWY_INLINE void multiply_panels(std::int64_t depth, const float* a, const float* b, Rows<float> y,
                                std::int64_t rows, std::int64_t columns, bool add) {
  for (std::int64_t column = 0; column < columns; column += kPanelColumns)
    for (std::int64_t row = 0; row < rows; row += kPanelRows)
      product<kPanelRows>(
          std::min(kPanelRows, rows - row), std::min(kPanelColumns, columns - column), depth,
          {a + row / kPanelRows * ProductTiles::panel_stride(kPanelRows), 1, kPanelRows},
          {b + column / kPanelColumns * ProductTiles::panel_stride(kPanelColumns), kPanelColumns},
          {y.data + row * y.row + column, y.row}, add);
}

template <class T>
void product_tile(const PackedProduct& p, const ProductTiles& tiles, std::int64_t tile, const T* a,
                  const T* b, float* y, float* scratch) {
  const Range rows = tiles.row_part(tile), columns = tiles.column_part(tile);
  float *a_panels = scratch, *b_panels = scratch + tiles.a_floats();
  for (std::int64_t first = 0; first < p.k; first += kPieceDepth) {
    const std::int64_t depth = std::min(kPieceDepth, p.k - first);
    pack<kPanelColumns, T>(
        depth, columns, [=](std::int64_t i) { return b + p.b_rows[first + i]; }, b_panels);
    for (std::int64_t piece = 0; piece < parts_of(rows.count, kPieceRows); ++piece) {
      const Range part = part_of(rows.count, kPieceRows, piece);
      const Range piece_rows = {rows.first + part.first, part.count};
      pack<kPanelRows, T>(
          depth, piece_rows, [=](std::int64_t i) { return a + (first + i) * p.m; }, a_panels);
      multiply_panels(depth, a_panels, b_panels, {y + piece_rows.first * p.n + columns.first, p.n},
                      part.count, columns.count, first > 0);
    }
  }
}

void product_tile_of_dtype(const PackedProduct& p, const ProductTiles& tiles, std::int64_t tile,
                           const void* a, const void* b, float* y, float* scratch) {
  with_element(p.dtype, [&](auto element) {
    using T = decltype(element);
    product_tile(p, tiles, tile, static_cast<const T*>(a), static_cast<const T*>(b), y, scratch);
  });
}

}  // namespace reprise::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <limits>

namespace reprise::cpu {

HWY_EXPORT(product_tile_of_dtype);

namespace {

// As many as keep the threads equally busy with few copies; of b, what stays in a third cache.
ProductTiles tiles_of(const PackedProduct& p) {
  constexpr std::int64_t kMostRows = 1056, kMostColumns = 1024, kMoreParts = 8;
  constexpr std::int64_t kCopy = 16;  // an element copied takes as long as so many multiplications
  const auto size = [](std::int64_t all, std::int64_t parts, std::int64_t panel) {
    return parts_of(parts_of(all, parts), panel) * panel;
  };
  ProductTiles best{};
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  const std::int64_t row_parts = parts_of(p.m, kMostRows), column_parts = parts_of(p.n, kMostColumns);
  for (std::int64_t i = row_parts; i < row_parts + kMoreParts; ++i)
    for (std::int64_t j = column_parts; j < column_parts + kMoreParts; ++j) {
      const ProductTiles tiles = {p.m, p.n, size(p.m, i, kPanelRows), size(p.n, j, kPanelColumns)};
      const std::int64_t turns = parts_of(tiles.count(), num_threads());
      const std::int64_t cost = turns * (tiles.rows * tiles.columns + kCopy * (tiles.rows + tiles.columns));
      if (cost < least) {
        least = cost;
        best = tiles;
      }
    }
  return best;
}

}  // namespace

bool PackedProduct::pays() const {
  // By its own rule oneDNN copies, too, where both m and n are large; rows that lie apart it does not take.
  const bool copied_too = 1.0 / static_cast<double>(m) + 1.0 / static_cast<double>(n) < 0.0038;
  return m * n > (1 << 15) && k >= 256 && !(copied_too && b_rows.adjacent(n)) && supports(HWY_AVX2) &&
         !supports(HWY_AVX3);
}

std::size_t PackedProduct::workspace() const {
  const ProductTiles tiles = tiles_of(*this);
  return scratch_workspace(tiles.count(), tiles.scratch());
}

void PackedProduct::run(const void* a, const void* b, float* y, std::span<std::byte> workspace) const {
  const ProductTiles tiles = tiles_of(*this);
  for_each_with_scratch(tiles.count(), tiles.scratch(), workspace,
                        [&](std::int64_t tile, std::byte* scratch) {
                          HWY_DYNAMIC_DISPATCH(product_tile_of_dtype)
                          (*this, tiles, tile, a, b, y, reinterpret_cast<float*>(scratch));
                        });
}

}  // namespace reprise::cpu
#endif
