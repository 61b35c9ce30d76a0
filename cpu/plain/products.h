#pragma once
// The one loop nest behind every product here: matmul, linear and the convolutions are many small calls of it.
#include <algorithm>
#include <array>
#include <cstdint>

#include "reprise/cpu/strided_loop.h"

namespace reprise::cpu {

// A matrix that is read where it lies: element (i, j) is data[i * row + j * column].
template <class T>
struct Matrix {
  T* data;
  std::int64_t row, column;
};

// y += a b, for a [rows, inner], b [inner, columns], y [rows, columns]; y's columns lie together.
//
// A tile of b is copied so that it is read in order, then a block of 4 rows, a cache line wide, is kept in
// registers. Each result is the sum over `inner` in ascending order, whatever part of the rows one call covers, so
// the bits do not depend on how rows are shared out.
template <class T>
void add_product(Matrix<const T> a, Matrix<const T> b, T* y, std::int64_t y_row, std::int64_t rows,
                 std::int64_t inner, std::int64_t columns) {
  constexpr std::int64_t kDepth = 256, kColumns = 64 / sizeof(T), kRows = 4;
  std::array<T, kDepth * kColumns> tile;
  for (std::int64_t j = 0; j < columns; j += kColumns) {
    const std::int64_t width = std::min(kColumns, columns - j);
    for (std::int64_t k = 0; k < inner; k += kDepth) {
      const std::int64_t depth = std::min(kDepth, inner - k);
      for (std::int64_t p = 0; p < depth; ++p) {
        const T* from = b.data + (k + p) * b.row + j * b.column;
        T* to = tile.data() + p * kColumns;
        for (std::int64_t c = 0; c < width; ++c) to[c] = from[c * b.column];
        for (std::int64_t c = width; c < kColumns; ++c) to[c] = 0;
      }
      for (std::int64_t i = 0; i < rows; i += kRows) {
        const std::int64_t height = std::min(kRows, rows - i);
        std::array<const T*, kRows> from;  // the last row again where there are fewer than four
        for (std::int64_t r = 0; r < kRows; ++r)
          from[static_cast<std::size_t>(r)] = a.data + (i + std::min(r, height - 1)) * a.row + k * a.column;
        T block[kRows][kColumns] = {};
        for (std::int64_t r = 0; r < height; ++r)
          for (std::int64_t c = 0; c < width; ++c) block[r][c] = y[(i + r) * y_row + j + c];
        for (std::int64_t p = 0; p < depth; ++p)
          for (std::size_t r = 0; r < kRows; ++r) {
            const T factor = from[r][p * a.column];
            for (std::int64_t c = 0; c < kColumns; ++c)
              block[r][c] += factor * tile[static_cast<std::size_t>(p * kColumns + c)];
          }
        for (std::int64_t r = 0; r < height; ++r)
          for (std::int64_t c = 0; c < width; ++c) y[(i + r) * y_row + j + c] = block[r][c];
      }
    }
  }
}

// How many of something that costs `work` additions and multiplications each are worth a thread.
inline std::int64_t grain_for(std::int64_t work) { return kGrain / std::max<std::int64_t>(work, 1) + 1; }

}  // namespace reprise::cpu
