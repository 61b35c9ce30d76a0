#pragma once
// Products of matrices by cuBLASLt. Which of its kernels runs is asked once for a problem and kept.
#include <cstddef>
#include <cstdint>
#include <span>

#include "reprise/core/kernel_slot.h"
#include "reprise/cuda/context.h"

namespace reprise::cuda {

// y[i] = op(a[i]) op(b[i]) + bias: row-major matrices, op(a) [m, k], op(b) [k, n], y [m, n]; bias [n], optional, is added to
// each row; with `accumulate` the product is added to y. a and b have dtype `in`, y and bias `out`; sums are in f32, or in f64
// where a and b are f64, for which there is no bias. `a_stride`, `b_stride`: elements from one matrix to the next, 0: the same
// for all of the batch.
struct Product {
  DType in = DType::f32, out = DType::f32;
  bool transpose_a = false, transpose_b = false, bias = false, accumulate = false;
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  std::int64_t a_stride = 0, b_stride = 0;
  friend auto operator<=>(const Product&, const Product&) = default;
};

std::size_t product_workspace(const Product& product, Device device);

// `bias` is null without one. y is read where it accumulates. Nothing is empty.
void run_product(const Product& product, Device device, const void* a, const void* b, const void* bias,
                 void* y, std::span<std::byte> workspace);

}  // namespace reprise::cuda
