// Matrix products by oneDNN: a batch as one primitive where it has a fast one, otherwise one product after another; the
// plain loops where even that is missing.
#include "reprise/ops/matmul.h"

#include "reprise/cpu/dnnl_product.h"
#include "reprise/cpu/fast_slots.h"
#include "reprise/cpu/plain_fallback.h"

namespace reprise::cpu {
namespace {

struct Products {
  std::shared_ptr<const DnnlOperation> primitive;  // null: none is fast
  std::int64_t runs = 1;
};

Products products(const MatmulArgs& args) {
  Product product = {.m = args.m,
                     .n = args.n,
                     .k = args.k,
                     .transpose_a = args.transpose_a,
                     .transpose_b = args.transpose_b,
                     .dtype = args.a.info->dtype,
                     .result = args.y.info->dtype};
  const auto uniform = [&](std::int64_t matrices) { return matrices == 1 || matrices == args.batch; };
  if (args.batch > 1 && uniform(args.a_matrices) && uniform(args.b_matrices)) {
    product.batch = args.batch;
    product.one_a = args.a_matrices == 1;
    product.one_b = args.b_matrices == 1;
    if (auto primitive = product_primitive(product)) return {std::move(primitive), 1};
    product.batch = 1;
    product.one_a = product.one_b = false;
  }
  return {product_primitive(product), args.batch};
}

std::size_t matmul_workspace(const MatmulArgs& args) {
  const Products all = products(args);
  return all.primitive ? all.primitive->workspace() : plain_workspace(matmul_slot, args, args.a.info->dtype);
}

void matmul(const MatmulArgs& args, std::span<std::byte> workspace) {
  const Products all = products(args);
  if (!all.primitive) return run_plain(matmul_slot, args, workspace, args.a.info->dtype);
  if (all.runs == 1) return all.primitive->run({args.a.data, args.b.data, args.y.data}, workspace);
  const auto bytes = static_cast<std::int64_t>(size_of(args.a.info->dtype));
  const auto *a = args.a.as<std::byte>(), *b = args.b.as<std::byte>();
  auto* y = args.y.as<std::byte>();
  for (std::int64_t i = 0; i < all.runs; ++i)
    all.primitive->run({a + args.matrix_a(i) * args.m * args.k * bytes,
                        b + args.matrix_b(i) * args.k * args.n * bytes, y + i * args.m * args.n * bytes},
                       workspace);
}

}  // namespace

void fill_fast_matmul() { fill_both(matmul_slot, matmul, matmul_workspace); }

}  // namespace reprise::cpu
