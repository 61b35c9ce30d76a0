#pragma once
// How a packed product is cut into work, and what scratch that takes.
#include <cstddef>
#include <cstdint>

#include "reprise/cpu/ranges.h"

namespace reprise::cpu {

// Of a panel, what the registers take in at once: 6 of a's columns or two vectors of b's.
inline constexpr std::int64_t kPanelRows = 6, kPanelColumns = 16;
inline constexpr std::int64_t kPieceDepth = 256;  // rows of a and b that are copied at once,
inline constexpr std::int64_t kPieceRows = 132;   // for so many rows of y: of a, what stays in a second cache

// How y is cut into tiles.
struct ProductTiles {
  std::int64_t m, n, rows, columns;

  std::int64_t row_parts() const { return parts_of(m, rows); }
  std::int64_t count() const { return row_parts() * parts_of(n, columns); }
  Range row_part(std::int64_t i) const { return part_of(m, rows, i % row_parts()); }
  Range column_part(std::int64_t i) const { return part_of(n, columns, i / row_parts()); }

  // Floats between panels: their extent and a line, into which a last vector may write, and for which equal places of
  // panels do not share a set of the cache.
  static constexpr std::int64_t panel_stride(std::int64_t width) { return kPieceDepth * width + 16; }
  std::int64_t a_floats() const { return kPieceRows / kPanelRows * panel_stride(kPanelRows); }
  std::int64_t b_floats() const { return parts_of(columns, kPanelColumns) * panel_stride(kPanelColumns); }
  std::size_t scratch() const { return static_cast<std::size_t>(a_floats() + b_floats()) * sizeof(float); }
};

}  // namespace reprise::cpu
