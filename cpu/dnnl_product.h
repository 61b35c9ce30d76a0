#pragma once
// y = op(a) op(b) + bias, or y += op(a) op(b): the matrix product as a oneDNN primitive. Operands are contiguous and row-major; op transposes
// where the flag says so, in the descriptor only.
#include <cstdint>
#include <memory>

#include "reprise/cpu/dnnl_operation.h"

namespace reprise::cpu {

struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  bool bias = false;                  // [n], added to each row
  std::int64_t batch = 1;             // products, one after another
  bool one_a = false, one_b = false;  // the same a (b) for each
  DType dtype = DType::f32;           // of a, b and bias
  DType result = DType::f32;          // of y
  bool accumulate = false;            // added to what y holds, which is f32
};

// In f32, or in bf16 into bf16 or f32; operands: a, b, y, bias where there is one. Null where oneDNN has nothing faster
// than its reference loops (bf16 without AVX-512, say) and where an extent is 0.
std::shared_ptr<const DnnlOperation> product_primitive(const Product& product);

}  // namespace reprise::cpu
