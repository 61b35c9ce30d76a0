#include "reprise/cpu/dnnl_product.h"

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

std::shared_ptr<const DnnlPrimitive> make(const Product& product) {
  const dnnl::memory::desc a =
      matrix(product, product.m, product.k, product.transpose_a, product.one_a, product.dtype);
  const dnnl::memory::desc b =
      matrix(product, product.k, product.n, product.transpose_b, product.one_b, product.dtype);
  const dnnl::memory::desc y = matrix(product, product.m, product.n, false, false, product.result);
  const dnnl::memory::desc bias(product.batch == 1 ? Dims{1, product.n} : Dims{1, 1, product.n},
                                dnnl_type(product.dtype),
                                product.batch == 1 ? Dims{product.n, 1} : Dims{product.n, product.n, 1});
  dnnl::primitive_attr attributes = dnnl_attributes();
  if (product.accumulate) {
    dnnl::post_ops after;
    after.append_sum();
    attributes.set_post_ops(after);
  }
  const DnnlThreads threads;
  dnnl::matmul::primitive_desc description(
      product.bias ? dnnl::matmul::desc(a, b, bias, y) : dnnl::matmul::desc(a, b, y), attributes,
      dnnl_engine(), /*allow_empty=*/true);
  if (!description || is_reference(description.impl_info_str())) return nullptr;
  std::vector<DnnlPrimitive::Argument> arguments = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}};
  if (product.bias) arguments.push_back({DNNL_ARG_BIAS, bias});
  arguments.push_back({DNNL_ARG_DST, y});
  return std::make_shared<const DnnlPrimitive>(description, dnnl::matmul(description), std::move(arguments));
}

}  // namespace

std::shared_ptr<const DnnlPrimitive> product_primitive(const Product& p) {
  if (p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0) return nullptr;
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
  return cached_primitive<DnnlPrimitive>(key, [&] { return make(p); });
}

}  // namespace reprise::cpu
