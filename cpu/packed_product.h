#pragma once
// y [m, n] = a^T b for row-major a [k, m] and b [k, n], the gradient of a weight, on processors with AVX2 but not AVX-512,
// where oneDNN's product with a transposed matrix falls behind: to 60 of 145 GFLOP/s where m, n, k are 1024, 256, 1568. A
// tile of y at a time, from pieces of a and b that are copied to where they are read one after the other (Goto and van de
// Geijn, Anatomy of High-Performance Matrix Multiplication, 2008). bf16 is widened by the copy.
#include <cstddef>
#include <cstdint>
#include <span>

#include "reprise/core/dtype.h"

namespace reprise::cpu {

// Where rows begin that are pixels of images, in elements: row i is the pixel at column i % columns of its line.
struct PixelRows {
  std::int64_t lines, columns;  // of an image
  std::int64_t image_step, line_step, column_step;

  std::int64_t operator[](std::int64_t i) const {
    return i / (lines * columns) * image_step + i / columns % lines * line_step + i % columns * column_step;
  }
  // Whether they follow each other, `width` elements each.
  bool adjacent(std::int64_t width) const {
    return column_step == width && (lines == 1 || line_step == columns * width);
  }
};

struct PackedProduct {
  std::int64_t m = 0, n = 0, k = 0;
  DType dtype = DType::f32;  // or bf16, of a and b
  PixelRows b_rows = {1, k, 0, 0, n};

  // Whether this is faster than oneDNN's.
  bool pays() const;
  std::size_t workspace() const;  // bytes
  // Each sum is over k in ascending order: its bits do not depend on the number of threads.
  void run(const void* a, const void* b, float* y, std::span<std::byte> workspace) const;
};

}  // namespace reprise::cpu
