// matmul and linear on cuBLASLt.
#include "reprise/cuda/check.h"
#include "reprise/cuda/cublaslt.h"
#include "reprise/cuda/slots.h"
#include "reprise/ops/linear.h"
#include "reprise/ops/matmul.h"
#include "reprise/ops/sum_to.h"

namespace reprise::cuda {
namespace {

// y's elements are sums over nothing.
void write_zeros(const View& y) {
  check(cudaMemsetAsync(y.data, 0, y.info->bytes(), use(y.info->device).stream), "cudaMemsetAsync");
}

// ---- matmul

// Whole where the batch steps uniformly through a and b; else one product, run for each matrix.
bool is_uniform(const MatmulArgs& args) {
  return (args.a_matrices == 1 || args.a_matrices == args.batch) &&
         (args.b_matrices == 1 || args.b_matrices == args.batch);
}

Product product_of(const MatmulArgs& args) {
  Product p;
  p.in = args.a.info->dtype;
  p.out = args.y.info->dtype;
  p.transpose_a = args.transpose_a;
  p.transpose_b = args.transpose_b;
  p.m = args.m;
  p.n = args.n;
  p.k = args.k;
  if (is_uniform(args)) {
    p.batch = args.batch;
    p.a_stride = args.a_matrices == 1 ? 0 : args.m * args.k;
    p.b_stride = args.b_matrices == 1 ? 0 : args.k * args.n;
  }
  return p;
}

bool is_empty(const Product& p) { return p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0; }

std::size_t matmul_workspace(const MatmulArgs& args) {
  const Product product = product_of(args);
  return is_empty(product) ? 0 : product_workspace(product, args.a.info->device);
}

void matmul(const MatmulArgs& args, std::span<std::byte> workspace) {
  if (args.y.info->shape.numel() == 0) return;
  const Product product = product_of(args);
  if (is_empty(product)) return write_zeros(args.y);
  const Device device = args.a.info->device;
  if (is_uniform(args))
    return run_product(product, device, args.a.data, args.b.data, nullptr, args.y.data, workspace);
  const auto size = static_cast<std::int64_t>(size_of(product.in));
  for (std::int64_t i = 0; i < args.batch; ++i)
    run_product(product, device, args.a.as<std::byte>() + args.matrix_a(i) * args.m * args.k * size,
                args.b.as<std::byte>() + args.matrix_b(i) * args.k * args.n * size, nullptr,
                args.y.as<std::byte>() + i * args.m * args.n * size, workspace);
}

// ---- linear

Product product_of(const LinearArgs& args) {
  Product p;
  p.in = args.x.info->dtype;
  p.out = args.y.info->dtype;
  p.transpose_b = true;
  const bool biased = args.b.info != nullptr;
  p.bias = biased && p.in != DType::f64;  // which has no epilogue: the product is added to the biases
  p.accumulate = biased && p.in == DType::f64;
  p.n = args.w.info->shape[0];
  p.k = args.w.info->shape[1];
  p.m = p.n == 0 ? 0 : args.y.info->shape.numel() / p.n;
  return p;
}

std::size_t linear_workspace(const LinearArgs& args) {
  const Product product = product_of(args);
  return is_empty(product) ? 0 : product_workspace(product, args.x.info->device);
}

void linear(const LinearArgs& args, std::span<std::byte> workspace) {
  if (args.y.info->shape.numel() == 0) return;
  const Product product = product_of(args);
  const Device device = args.x.info->device;
  const bool has_product = !is_empty(product);
  if (args.b.info && !(has_product && product.bias))
    broadcast_to_slot.run({args.b, args.y}, {}, device, product.out);
  if (has_product)
    run_product(product, device, args.x.data, args.w.data, product.bias ? args.b.data : nullptr, args.y.data,
                workspace);
  else if (!args.b.info)
    write_zeros(args.y);
}

Product product_of(const LinearBackwardWeightArgs& args) {
  Product p;
  p.in = args.x.info->dtype;
  p.out = args.dw.info->dtype;
  p.transpose_a = true;
  p.m = args.dw.info->shape[0];
  p.n = args.dw.info->shape[1];
  p.k = p.m == 0 ? 0 : args.dy.info->shape.numel() / p.m;
  return p;
}

std::size_t linear_backward_weight_workspace(const LinearBackwardWeightArgs& args) {
  const Product product = product_of(args);
  return is_empty(product) ? 0 : product_workspace(product, args.x.info->device);
}

void linear_backward_weight(const LinearBackwardWeightArgs& args, std::span<std::byte> workspace) {
  if (args.dw.info->shape.numel() == 0) return;
  const Product product = product_of(args);
  if (is_empty(product)) return write_zeros(args.dw);
  run_product(product, args.x.info->device, args.dy.data, args.x.data, nullptr, args.dw.data, workspace);
}

}  // namespace

void fill_products() {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    matmul_slot.fill(Device::CUDA, dtype, {matmul, matmul_workspace});
    linear_slot.fill(Device::CUDA, dtype, {linear, linear_workspace});
    linear_backward_weight_slot.fill(Device::CUDA, dtype,
                                     {linear_backward_weight, linear_backward_weight_workspace});
  }
}

}  // namespace reprise::cuda
