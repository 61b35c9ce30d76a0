// Ops that move elements and compute nothing.
#include <algorithm>
#include <numeric>

#include "reprise/ops/ops.h"
#include "reprise/tests/differential/subject.h"

namespace reprise::test::differential {
namespace {

int drawn_dim(Draw& draw, const Shape& shape) {
  return static_cast<int>(draw.whole(-shape.rank(), shape.rank() - 1));
}
std::size_t from_front(int dim, const Shape& shape) {
  return static_cast<std::size_t>(dim < 0 ? dim + shape.rank() : dim);
}
int tracked(DType dtype) { return is_floating(dtype) ? 0 : -1; }

DrawnCase draw_broadcast_to(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(0, 4);
  return {.inputs = {draw.any(draw.broadcastable(shape), dtype)},
          .function = [=](Inputs in) { return std::vector{broadcast_to(in[0], shape)}; },
          .options = {{"shape", to_json(shape)}},
          .differentiated = tracked(dtype),
          .terms = true};
}

DrawnCase draw_cat(Draw& draw, DType dtype, bool stacked) {
  const Shape shape = draw.shape(stacked ? 0 : 1, 3);
  const int dim = stacked ? static_cast<int>(draw.whole(0, shape.rank())) : drawn_dim(draw, shape);
  DrawnCase result{.options = {{"dim", dim}}, .differentiated = tracked(dtype)};
  for (std::int64_t count = draw.whole(1, 4); count > 0; --count)
    result.inputs.push_back(draw.any(stacked ? shape : shape.with(dim, draw.extent()), dtype));
  result.function = [=](Inputs in) {
    const std::vector<Tensor> parts(in.begin(), in.end());
    return std::vector{stacked ? stack(parts, dim) : cat(parts, dim)};
  };
  return result;
}

DrawnCase draw_split(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 3);
  const int dim = drawn_dim(draw, shape);
  const std::int64_t size = draw.whole(std::max<std::int64_t>(1, shape[dim] / 5), shape[dim] + 1);
  const std::int64_t parts = std::max<std::int64_t>(1, (shape[dim] + size - 1) / size);
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return split(in[0], size, dim); },
          .options = {{"size", size}, {"dim", dim}},
          .differentiated = is_floating(dtype) ? static_cast<int>(draw.whole(0, parts - 1)) : -1};
}

DrawnCase draw_detach(Draw& draw, DType dtype) {
  return {.inputs = {draw.any(draw.shape(0, 3), dtype)},
          .function = [](Inputs in) { return std::vector{detach(in[0])}; },
          .differentiated = -1};
}

DrawnCase draw_to_device(Draw& draw, DType dtype) {
  return {.inputs = {draw.any(draw.shape(0, 3), dtype)},
          .function = [](Inputs in) { return std::vector{to_device(in[0], Device::cpu())}; },
          .differentiated = tracked(dtype)};
}

DrawnCase draw_embedding(Draw& draw, DType dtype) {
  const Shape w = draw.shape(2, 2), ids = draw.shape(0, 3);
  if (w[0] == 0 && ids.numel() > 0) return draw_embedding(draw, dtype);
  return {.inputs = {draw.integers(ids, 0, std::max<std::int64_t>(w[0], 1) - 1), draw.input(w, dtype)},
          .function = [](Inputs in) { return std::vector{embedding(in[0], in[1])}; },
          .terms = true};
}
DrawnCase draw_embedding_backward(Draw& draw, DType dtype) {
  const Shape ids = draw.shape(0, 2);
  const std::int64_t vocabulary = draw.positive_extent(), width = draw.positive_extent(64);
  return {.inputs = {draw.input(ids.append(width), dtype), draw.integers(ids, 0, vocabulary - 1)},
          .function = [=](Inputs in) { return std::vector{embedding_backward(in[0], in[1], vocabulary)}; },
          .options = {{"vocabulary", vocabulary}},
          .terms = true};
}

// An index that fits a tensor of `shape` along dim: no larger than it in the other dimensions.
Shape drawn_index_shape(Draw& draw, const Shape& shape, int dim) {
  Shape index = shape;
  for (int d = 0; d < shape.rank(); ++d)
    if (shape[d] > 1 && draw.chance(0.3)) index = index.with(d, draw.whole(1, shape[d]));
  return index.with(dim, shape[dim] == 0 ? 0 : draw.extent());
}
DrawnCase draw_gather(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 3);
  const int dim = drawn_dim(draw, shape);
  const Shape index = drawn_index_shape(draw, shape, dim);
  return {
      .inputs = {draw.any(shape, dtype), draw.integers(index, 0, std::max<std::int64_t>(shape[dim], 1) - 1)},
      .function = [=](Inputs in) { return std::vector{gather(in[0], dim, in[1])}; },
      .options = {{"dim", dim}},
      .differentiated = tracked(dtype),
      .terms = true};
}
DrawnCase draw_scatter_add(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 3);
  const int dim = drawn_dim(draw, shape);
  const Shape index = drawn_index_shape(draw, shape, dim);
  return {.inputs = {draw.input(index, dtype),
                     draw.integers(index, 0, std::max<std::int64_t>(shape[dim], 1) - 1)},
          .function = [=](Inputs in) { return std::vector{scatter_add(in[0], dim, in[1], shape)}; },
          .options = {{"dim", dim}, {"shape", to_json(shape)}},
          .terms = true};
}

DrawnCase draw_permute(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(3, 3);
  const Dims orders[] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {-1, 1, 0}};
  const Dims order = orders[draw.whole(0, 5)];
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{permute(in[0], order)}; },
          .options = {{"dims", std::vector(order.values().begin(), order.values().end())}},
          .differentiated = tracked(dtype)};
}
DrawnCase draw_transpose(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 4);
  const int a = drawn_dim(draw, shape), b = drawn_dim(draw, shape);
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{transpose(in[0], a, b)}; },
          .options = {{"a", a}, {"b", b}},
          .differentiated = tracked(dtype)};
}

DrawnCase draw_reshape(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(0, 4);
  std::vector<std::int64_t> wanted(shape.extents().begin(), shape.extents().end());
  std::reverse(wanted.begin(), wanted.end());
  if (draw.chance(0.3)) wanted.insert(wanted.begin(), 1);
  if (draw.chance(0.3)) wanted = {shape.numel()};
  if (draw.chance(0.3) && shape.numel() > 0 && !wanted.empty()) wanted.back() = -1;
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{reshape(in[0], OpenShape(wanted))}; },
          .options = {{"shape", wanted}},
          .differentiated = tracked(dtype)};
}
DrawnCase draw_flatten(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 4);
  const int start = drawn_dim(draw, shape);
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{flatten(in[0], start)}; },
          .options = {{"start", start}},
          .differentiated = tracked(dtype)};
}

DrawnCase draw_slice(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 4);
  const std::int64_t first = draw.whole(0, shape[0]), last = draw.whole(first, shape[0]);
  const bool from_end = first > 0 && draw.chance(0.3);
  const std::int64_t begin = from_end && first < shape[0] ? first - shape[0] : first;
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{slice(in[0], begin, last)}; },
          .options = {{"first", first}, {"last", last}},
          .differentiated = tracked(dtype)};
}
DrawnCase draw_narrow(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 4);
  const int dim = drawn_dim(draw, shape);
  const std::int64_t first = draw.whole(0, shape[dim]), length = draw.whole(0, shape[dim] - first);
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{narrow(in[0], dim, first, length)}; },
          .options = {{"dim", dim}, {"first", first}, {"length", length}},
          .differentiated = tracked(dtype)};
}
DrawnCase draw_pad(Draw& draw, DType dtype) {
  const Shape shape = draw.shape(1, 4);
  const int dim = drawn_dim(draw, shape);
  const std::int64_t before = draw.whole(0, 3), after = draw.whole(0, 3);
  return {.inputs = {draw.any(shape, dtype)},
          .function = [=](Inputs in) { return std::vector{pad(in[0], dim, before, after)}; },
          .options = {{"dim", from_front(dim, shape)}, {"before", before}, {"after", after}},
          .differentiated = tracked(dtype)};
}

}  // namespace

std::vector<Subject> shape_subjects() {
  return {
      {"broadcast_to", kEvery, draw_broadcast_to},
      {"cat", kEvery, [](Draw& draw, DType dtype) { return draw_cat(draw, dtype, false); }},
      {"stack", kEvery, [](Draw& draw, DType dtype) { return draw_cat(draw, dtype, true); }},
      {"split", kEvery, draw_split},
      {"detach", kEvery, draw_detach},
      {"to_device", kEvery, draw_to_device},
      {"embedding", kFloating, draw_embedding},
      {"embedding_backward", kFloating, draw_embedding_backward},
      {"gather", kEvery, draw_gather},
      {"scatter_add", kFloating, draw_scatter_add},
      {"permute", kEvery, draw_permute},
      {"transpose", kEvery, draw_transpose},
      {"reshape", kEvery, draw_reshape},
      {"flatten", kEvery, draw_flatten},
      {"slice", kEvery, draw_slice},
      {"narrow", kEvery, draw_narrow},
      {"pad", kEvery, draw_pad},
  };
}

}  // namespace reprise::test::differential
