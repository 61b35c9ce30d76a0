#include "reprise/cpu/dnnl_product.h"

#include <algorithm>

namespace reprise::cpu {
namespace {

using Dims = dnnl::memory::dims;

// A stored matrix [rows, columns] of each product, read as its transpose where `transposed`.
dnnl::memory::desc matrix(const Product& product, std::int64_t rows, std::int64_t columns, bool transposed,
                          bool one, DType dtype) {
  const std::int64_t row_step = transposed ? 1 : columns, column_step = transposed ? rows : 1;
  if (product.batch == 1) return {Dims{rows, columns}, dnnl_type(dtype), Dims{row_step, column_step}};
  return {Dims{one ? 1 : product.batch, rows, columns}, dnnl_type(dtype),
          Dims{rows * columns, row_step, column_step}};
}

// All operands, in the dtypes that they have (ours) or that oneDNN computes with (theirs).
struct Matrices {
  dnnl::memory::desc a, b, bias, y;
};

Matrices matrices(const Product& product, DType dtype, DType result) {
  const bool one = product.batch == 1;
  const std::int64_t n = product.n;
  return {.a = matrix(product, product.m, product.k, product.transpose_a, product.one_a, dtype),
          .b = matrix(product, product.k, n, product.transpose_b, product.one_b, dtype),
          .bias = {one ? Dims{1, n} : Dims{1, 1, n}, dnnl_type(dtype), one ? Dims{n, 1} : Dims{n, n, 1}},
          .y = matrix(product, product.m, n, false, false, result)};
}

std::shared_ptr<const DnnlOperation> make(const Product& product) {
  const Matrices ours = matrices(product, product.dtype, product.result);
  const Matrices theirs = matrices(product, computing_dtype(product.dtype), computing_dtype(product.result));
  dnnl::primitive_attr attributes = dnnl_attributes();
  if (product.accumulate) {
    dnnl::post_ops after;
    after.append_sum();
    attributes.set_post_ops(after);
  }
  const DnnlThreads threads;
  const auto description = product.bias
                               ? describe<dnnl::matmul>(attributes, theirs.a, theirs.b, theirs.bias, theirs.y)
                               : describe<dnnl::matmul>(attributes, theirs.a, theirs.b, theirs.y);
  if (!description || is_reference(description.impl_info_str())) return nullptr;
  std::vector<DnnlOperation::Operand> operands = {{DNNL_ARG_SRC, false, ours.a, theirs.a},
                                                  {DNNL_ARG_WEIGHTS, false, ours.b, theirs.b},
                                                  {DNNL_ARG_DST, true, ours.y, theirs.y}};
  if (product.bias) operands.push_back({DNNL_ARG_BIAS, false, ours.bias, theirs.bias});
  return std::make_shared<const DnnlOperation>(description, dnnl::matmul(description), operands);
}

}  // namespace

std::shared_ptr<const DnnlOperation> product_primitive(const Product& p) {
  if (p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0) return nullptr;
  if (std::max({p.m, p.n, p.k, p.batch}) > kDnnlMostExtent) return nullptr;
  const PrimitiveKey key = {static_cast<std::int64_t>(PrimitiveKind::product),
                            p.m,
                            p.n,
                            p.k,
                            p.transpose_a,
                            p.transpose_b,
                            p.bias,
                            p.batch,
                            p.one_a,
                            p.one_b,
                            static_cast<std::int64_t>(p.dtype),
                            static_cast<std::int64_t>(p.result),
                            p.accumulate};
  return cached_primitive<DnnlOperation>(key, [&] { return make(p); });
}

}  // namespace reprise::cpu
