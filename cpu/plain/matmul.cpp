#include "reprise/ops/matmul.h"

#include "reprise/cpu/plain/elementwise.h"
#include "reprise/cpu/plain/products.h"
#include "reprise/cpu/plain/slots.h"

namespace reprise::cpu {
namespace {

template <class T>
void matmul(const MatmulArgs& args, std::span<std::byte>) {
  const std::int64_t m = args.m, n = args.n, k = args.k;
  const T *a = args.a.as<T>(), *b = args.b.as<T>();
  T* y = args.y.as<T>();
  // All rows of all matrices are shared out; a range may begin and end within a matrix.
  parallel_for(args.batch * m, grain_for(n * k), [&](std::int64_t begin, std::int64_t end) {
    std::fill(y + begin * n, y + end * n, T{0});
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t i = row / m, first = row % m, rows = std::min(end - row, m - first);
      Matrix<const T> left = args.transpose_a
                                 ? Matrix<const T>{a + args.matrix_a(i) * m * k + first, 1, m}
                                 : Matrix<const T>{a + args.matrix_a(i) * m * k + first * k, k, 1};
      Matrix<const T> right = args.transpose_b ? Matrix<const T>{b + args.matrix_b(i) * k * n, 1, k}
                                               : Matrix<const T>{b + args.matrix_b(i) * k * n, n, 1};
      add_product(left, right, y + row * n, n, rows, k, n);
      row += rows;
    }
  });
}

}  // namespace

void fill_matmul() {
  fill_floating(matmul_slot, matmul<float>, matmul<double>);
  fill_widened<matmul_slot, &MatmulArgs::a, &MatmulArgs::b, &MatmulArgs::y>();
}

}  // namespace reprise::cpu
