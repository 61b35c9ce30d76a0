// Sums, extremes and softmax.
#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

// Some dimensions of a tensor of this rank, at least one; a few count from the end.
std::vector<std::int64_t> drawn_dims(Draw& draw, int rank) {
  std::vector<std::int64_t> dims;
  for (int d = 0; d < rank; ++d)
    if (draw.chance(0.5)) dims.push_back(draw.chance(0.2) ? d - rank : d);
  if (dims.empty()) dims.push_back(draw.whole(0, rank - 1));
  return dims;
}
Dims to_dims(const std::vector<std::int64_t>& list) {
  switch (list.size()) {
    case 1:
      return {list[0]};
    case 2:
      return {list[0], list[1]};
    case 3:
      return {list[0], list[1], list[2]};
    default:
      return {list[0], list[1], list[2], list[3]};
  }
}

// Integers of ordinary size: their sum is exact.
Tensor numbers(Draw& draw, const Shape& shape, DType dtype) {
  return is_floating(dtype) ? draw.input(shape, dtype) : draw.integers(shape, -1000, 1000, dtype);
}

using Reduction = Tensor (*)(Tensor, Dims, ReduceOptions);
Subject reduction(const char* op, Reduction function, std::vector<DType> dtypes, Tensor (*of_all)(Tensor)) {
  const bool extreme = of_all == nullptr;
  return {op, std::move(dtypes), [=](Draw& draw, DType dtype) {
            const Shape shape = extreme ? draw.positive_shape(1, 4) : draw.shape(1, 4);
            DrawnCase result{.inputs = {numbers(draw, shape, dtype)}, .terms = true};
            if (!is_floating(dtype)) result.differentiated = -1;
            if (!extreme && draw.chance(0.3)) {
              result.function = [=](Inputs in) { return std::vector{of_all(in[0])}; };
              result.options = {{"all", true}};
              return result;
            }
            const std::vector<std::int64_t> dims = drawn_dims(draw, shape.rank());
            const bool keepdim = draw.chance(0.5);
            result.function = [=](Inputs in) {
              return std::vector{function(in[0], to_dims(dims), {.keepdim = keepdim})};
            };
            result.options = {{"all", false}, {"dims", dims}, {"keepdim", keepdim}};
            return result;
          }};
}

DrawnCase draw_argmax(Draw& draw, DType dtype) {
  const Shape shape = draw.positive_shape(1, 4);
  const int dim = static_cast<int>(draw.whole(-shape.rank(), shape.rank() - 1));
  return {.inputs = {numbers(draw, shape, dtype)},
          .function = [=](Inputs in) { return std::vector{argmax(in[0], dim)}; },
          .options = {{"dim", dim}},
          .differentiated = -1};
}

DrawnCase draw_sum_to(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(0, 4), wanted = draw.broadcastable(shape);
  return {.inputs = {numbers(draw, shape, dtype)},
          .function = [=](Inputs in) { return std::vector{sum_to(in[0], wanted)}; },
          .options = {{"shape", to_json(wanted)}},
          .differentiated = is_floating(dtype) ? 0 : -1,
          .terms = true};
}

DrawnCase draw_column_sum(Draw& draw, DType dtype) {
  return {.inputs = {draw.input(draw.shape(1, 4), dtype)},
          .function = [](Inputs in) { return std::vector{column_sum(in[0])}; },
          .terms = true};
}

Subject softmax_subject(const char* op, Tensor (*function)(Tensor, int)) {
  return {op, kFloating, [=](Draw& draw, DType dtype) {
            const Shape shape = draw.shape(1, 4);
            const int dim = static_cast<int>(draw.whole(-shape.rank(), shape.rank() - 1));
            return DrawnCase{.inputs = {draw.input(shape, dtype)},
                             .function = [=](Inputs in) { return std::vector{function(in[0], dim)}; },
                             .options = {{"dim", dim}},
                             // Among few elements the gradient is mostly rounding.
                             .judged_in_f64 = shape[dim] > 3,
                             .tolerance = 1e-5};
          }};
}

DrawnCase draw_causal_softmax(Draw& draw, DType dtype) {
  const Shape leading = draw.shape(0, 2);
  const std::int64_t queries = draw.positive_extent(40),
                     keys = draw.chance(0.7) ? queries : draw.positive_extent(40);
  return {.inputs = {draw.input(leading.append(queries).append(keys), dtype)},
          .function = [](Inputs in) { return std::vector{causal_softmax(in[0])}; }};
}

}  // namespace

std::vector<Subject> reduction_subjects() {
  return {
      reduction("sum", sum, kNumbers, sum),        reduction("mean", mean, kFloating, mean),
      reduction("max", max, kNumbers, nullptr),    reduction("min", min, kNumbers, nullptr),
      {"argmax", kNumbers, draw_argmax},           {"sum_to", kNumbers, draw_sum_to},
      {"column_sum", kFloating, draw_column_sum},  softmax_subject("softmax", softmax),
      softmax_subject("log_softmax", log_softmax), {"causal_softmax", kFloating, draw_causal_softmax},
  };
}

}  // namespace reprise::test::differential
