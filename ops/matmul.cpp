#include "reprise/ops/matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "reprise/ops/elementwise.h"
#include "reprise/ops/kernel_op.h"
#include "reprise/ops/linear.h"
#include "reprise/ops/sum_to.h"
#include "reprise/ops/widened.h"

namespace reprise {

constinit KernelSlot<MatmulArgs> matmul_slot{"matmul"};

namespace {

// Everything but the data. UserError where the shapes do not fit.
MatmulArgs arrange(const Shape& a, const Shape& b, bool transpose_a, bool transpose_b) {
  if (a.rank() < 2 || b.rank() < 2)
    throw UserError(fmt::format(
        "matmul: shapes {} and {} do not fit: both need at least one dimension, and two where an operand "
        "is stored transposed",
        to_string(a), to_string(b)));
  const std::int64_t inner_a = transpose_a ? a[-2] : a[-1], inner_b = transpose_b ? b[-1] : b[-2];
  if (inner_a != inner_b)
    throw UserError(fmt::format("matmul: shapes {}{} and {}{} do not fit: the inner extents {} and {} differ",
                                to_string(a), transpose_a ? " (transposed)" : "", to_string(b),
                                transpose_b ? " (transposed)" : "", inner_a, inner_b));
  MatmulArgs args;
  args.transpose_a = transpose_a;
  args.transpose_b = transpose_b;
  args.m = transpose_a ? a[-1] : a[-2];
  args.n = transpose_b ? b[-2] : b[-1];
  args.k = inner_a;
  args.batch_rank = std::max(a.rank(), b.rank()) - 2;
  for (int d = args.batch_rank - 1; d >= 0; --d) {
    const auto at = static_cast<std::size_t>(d);
    const int in_a = d - args.batch_rank + a.rank() - 2, in_b = d - args.batch_rank + b.rank() - 2;
    const std::int64_t extent_a = in_a >= 0 ? a[in_a] : 1, extent_b = in_b >= 0 ? b[in_b] : 1;
    if (extent_a != extent_b && extent_a != 1 && extent_b != 1)
      throw UserError(fmt::format(
          "matmul: shapes {} and {} do not fit: the leading extents {} and {} differ and neither is 1",
          to_string(a), to_string(b), extent_a, extent_b));
    args.batch_extents[at] = extent_a == 1 ? extent_b : extent_a;
    args.a_steps[at] = extent_a == 1 ? 0 : args.a_matrices;
    args.b_steps[at] = extent_b == 1 ? 0 : args.b_matrices;
    args.batch *= args.batch_extents[at];
    args.a_matrices *= extent_a;
    args.b_matrices *= extent_b;
  }
  if (args.b_matrices == 1 && !transpose_a) {  // one matrix for all rows of a
    args.m *= args.batch;
    args.batch = args.a_matrices = 1;
    args.batch_rank = 0;
  }
  return args;
}

std::int64_t batches(const Shape& shape) {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape.extents().first(static_cast<std::size_t>(shape.rank() - 2)))
    product *= extent;
  return product;
}

// An operand of a product that is summed over a batch: not rounded to 16 bits before.
Tensor summand(bool summed, const Tensor& x) { return summed ? widened(x) : x; }

// Is it one matrix? A product of all extents would not tell, if one of them is 0.
bool leading_extents_are_one(const Shape& shape) {
  const auto leading = shape.extents().first(static_cast<std::size_t>(shape.rank() - 2));
  return std::all_of(leading.begin(), leading.end(), [](std::int64_t extent) { return extent == 1; });
}

struct Matmul final : KernelOp<MatmulArgs> {
  bool transpose_a, transpose_b;
  Matmul(bool a, bool b) : KernelOp("matmul", matmul_slot), transpose_a(a), transpose_b(b) {}

  std::string attributes() const override {
    return fmt::format("transpose_a={} transpose_b={}", transpose_a, transpose_b);
  }
  std::vector<ValueInfo> infer(std::span<const ValueInfo> in) const override {
    require_same_dtype("matmul", in[0], in[1]);
    require_floating("matmul", in[0]);
    const Shape &a = in[0].shape, &b = in[1].shape;
    arrange(a, b, transpose_a, transpose_b);  // for its errors
    const int batch_rank = std::max(a.rank(), b.rank()) - 2;
    std::array<std::int64_t, Shape::kMaxRank> extents;
    for (int d = 0; d < batch_rank; ++d) {
      const int in_a = d - batch_rank + a.rank() - 2, in_b = d - batch_rank + b.rank() - 2;
      const std::int64_t extent_a = in_a >= 0 ? a[in_a] : 1, extent_b = in_b >= 0 ? b[in_b] : 1;
      extents[static_cast<std::size_t>(d)] = extent_a == 1 ? extent_b : extent_a;
    }
    extents[static_cast<std::size_t>(batch_rank)] = transpose_a ? a[-1] : a[-2];
    extents[static_cast<std::size_t>(batch_rank) + 1] = transpose_b ? b[-2] : b[-1];
    return {{Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(batch_rank) + 2)),
             in[0].dtype, in[0].device}};
  }
  MatmulArgs args(std::span<const ConstView> in, std::span<const View> out) const override {
    MatmulArgs args = arrange(in[0].info->shape, in[1].info->shape, transpose_a, transpose_b);
    args.a = in[0];
    args.b = in[1];
    args.y = out[0];
    return args;
  }
  Saved saves(Needs needs) const override { return saves_of_bilinear(needs); }
  std::vector<Tensor> backward(const Context& context, std::span<const Tensor> gradients) const override {
    const Tensor &a = context.inputs[0], &b = context.inputs[1], &g = gradients[0];
    const Shape &shape_a = context.infos[0].shape, &shape_b = context.infos[1].shape;
    std::vector<Tensor> result(2);
    if (context.needs(0)) {
      const bool repeated = batches(g.shape()) != batches(shape_a);
      const Tensor dy = summand(repeated, g), other = summand(repeated, b);
      Tensor da = transpose_a ? matmul(other, dy, {.transpose_a = transpose_b, .transpose_b = true})
                              : matmul(dy, other, {.transpose_a = false, .transpose_b = !transpose_b});
      result[0] = sum_to(std::move(da), shape_a);
    }
    if (context.needs(1)) {
      const bool one_matrix = leading_extents_are_one(shape_b);
      if (one_matrix && !transpose_a && shape_a.rank() > 2) {  // sums over all rows of a in one product
        Tensor db = transpose_b ? linear_backward_weight(g, a) : linear_backward_weight(a, g);
        result[1] = shape_b.rank() == 2 ? std::move(db) : std::move(db).reshape(shape_b);
      } else {
        const bool repeated = batches(g.shape()) != batches(shape_b);
        const Tensor dy = summand(repeated, g), other = summand(repeated, a);
        Tensor db = transpose_b ? matmul(dy, other, {.transpose_a = true, .transpose_b = transpose_a})
                                : matmul(other, dy, {.transpose_a = !transpose_a, .transpose_b = false});
        result[1] = sum_to(std::move(db), shape_b);
      }
    }
    return result;
  }
  double flops(std::span<const ValueInfo> in) const override {
    const MatmulArgs args = arrange(in[0].shape, in[1].shape, transpose_a, transpose_b);
    return 2.0 * static_cast<double>(args.batch) * static_cast<double>(args.m) * static_cast<double>(args.n) *
           static_cast<double>(args.k);
  }
};

}  // namespace

Tensor matmul(Tensor a, Tensor b, MatmulOptions options) {
  static const std::array<std::shared_ptr<const Op>, 4> ops = {
      std::make_shared<const Matmul>(false, false), std::make_shared<const Matmul>(false, true),
      std::make_shared<const Matmul>(true, false), std::make_shared<const Matmul>(true, true)};
  const std::size_t which = (options.transpose_a ? 2U : 0U) + (options.transpose_b ? 1U : 0U);
  return record(ops[which], std::move(a), std::move(b));
}

Tensor matmul(Tensor a, Tensor b) {
  const bool row = a.shape().rank() == 1, column = b.shape().rank() == 1;
  if (!row && !column) return matmul(std::move(a), std::move(b), MatmulOptions{});
  const Shape one_row = {1, a.numel()}, one_column = {b.numel(), 1};
  if (row) a = std::move(a).reshape(one_row);
  if (column) b = std::move(b).reshape(one_column);
  Tensor y = matmul(std::move(a), std::move(b), MatmulOptions{});
  Shape shape = y.shape();
  if (column) shape = shape.without(-1);
  if (row) shape = shape.without(column ? -1 : -2);
  return std::move(y).reshape(shape);
}

}  // namespace reprise
